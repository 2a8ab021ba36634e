"""Who may log in: waits for a machine to answer, and changes its authorized key when keys are rotated."""

from __future__ import annotations

import time
from collections.abc import Callable

from images.remote.connection import Connection
from images.remote.errors import AuthenticationFailed, Unreachable
from images.remote.host import Host
from images.remote.keys import parse_private_key
from images.remote.scripts import require
from images.remote.waiting import Waiting
from images.vehicles.ssh.scripts import run_script

RETRY_S = 1.0
_COMMENT = "crossover"


def connect(
    host: Host,
    private_key: str,
    previous_private_key: str | None,
    watch: Waiting,
    say: Callable[[str], None],
    within_s: float,
) -> Connection:
    """A connection by `private_key`, tried until the machine answers but no longer than `within_s`.

    Where the machine knows only the previous key, the new one is added, proved by a login, and the previous one
    dropped; a rotation that was interrupted in between is finished. Raises what Connection.open raises.
    """
    if previous_private_key is not None and _public(previous_private_key) == _public(private_key):
        previous_private_key = None
    patience = Waiting(min(within_s, watch.remaining_s), watch.cancelled)
    try:
        connection = _patiently(host, private_key, patience, watch, say)
    except AuthenticationFailed:
        if previous_private_key is None:
            raise
        say("the machine knows the previous key only: adding the new one")
        with Connection.open(host, previous_private_key, cancelled=watch.cancelled) as old:
            _change_keys(old, watch, added=_public(private_key))
        connection = Connection.open(host, private_key, cancelled=watch.cancelled)
    if previous_private_key is not None:
        _change_keys(connection, watch, dropped=_public(previous_private_key))
    return connection


def _patiently(
    host: Host, private_key: str, patience: Waiting, watch: Waiting, say: Callable[[str], None]
) -> Connection:
    said = ""
    while True:
        watch.check(f"connecting to {host.where}")
        try:
            return Connection.open(host, private_key, cancelled=watch.cancelled)
        except Unreachable as e:
            if patience.remaining_s <= RETRY_S:
                raise
            if str(e) != said:
                said = str(e)
                say(f"waiting for the machine: {said}")
            time.sleep(RETRY_S)


def _change_keys(connection: Connection, watch: Waiting, *, added: str = "", dropped: str = "") -> None:
    step = "changing the authorized keys"
    lines = f"{added}\n{dropped}\n".encode()
    result = run_script(connection, "keys", stdin=lines, watch=watch, step=step)
    require(result, f"the authorized keys of {connection.host.where} could not be changed")


def _public(private_key: str) -> str:
    """The line of authorized_keys that belongs to a private key."""
    key = parse_private_key(private_key)
    return f"{key.get_name()} {key.get_base64()} {_COMMENT}"
