"""A node that is to change is out of the gateway's rotation first, and back in it afterwards, whatever happens.

vLLM keeps listening while it shuts down, with /health at 200, and gives new requests an empty answer that ends in
"abort" (0.32): so its own graceful stop is not enough.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import paramiko

from images.remote.connection import Connection
from images.remote.errors import AuthenticationFailed, Cancelled, CommandFailed, RemoteError, Unreachable
from images.remote.host import Host
from images.remote.waiting import POLL_S, Waiting

PROGRAM = "bin/route.py"
"""The gateway bundle's program: `route.py NODE LIMIT_S` drains, says one line, and holds until its stdin ends."""
SERVES = b"serves\n"
"""Written before stdin ends: the program then also waits until the gateway's checks have seen the node. An older one
ignores it."""
SLACK_S = 30
"""More than it waits for the checks."""
_BROKEN = (OSError, EOFError, paramiko.SSHException)
_SHOWS = 'test ! -e "$1" || exec python3 "$1" --shows "$2"'


@contextmanager
def out_of_rotation(
    gateway: Host,
    node: str,
    private_keys: Sequence[str],
    limit_s: int,
    say: Callable[[str], None],
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Callable[[], None]]:
    """Holds `node` out while the block runs. If this process dies, its connection ends and the gateway takes the node
    back. A gateway that cannot be told stops no repair: that is said, and the block runs all the same.

    The block calls what it is given once the node serves again: the gateway takes the node back at once, and the block
    does not end before the gateway's checks have seen the node. So the next node is not held out before. Raises
    Cancelled."""
    with ExitStack() as held:
        serves: Callable[[], None] = lambda: None  # noqa: E731
        try:
            connection = held.enter_context(_open(gateway, private_keys, cancelled))
            program = shlex.quote(f"{gateway.root}/{PROGRAM}")
            channel = connection.start(f"exec python3 {program} {shlex.quote(node)} {limit_s}")
            held.callback(_give_back, channel, Waiting(SLACK_S, cancelled, say))
            serves = partial(_tell, channel)
            say(_first_line(channel, Waiting(limit_s + SLACK_S, cancelled), node))
        except Cancelled:
            raise
        except RemoteError as e:
            say(f"changing {node} without the gateway's help: {e}")
        yield serves


def shows(gateway: Host, secret: str, private_keys: Sequence[str], waiting: Waiting) -> str:
    """Why the gateway does not show nodes the certificate of that name; empty where it does, or where none runs that
    could reach one. Raises Cancelled."""
    try:
        with _open(gateway, private_keys, waiting.cancelled) as connection:
            answer = connection.run(
                _SHOWS, f"{gateway.root}/{PROGRAM}", secret, watch=waiting, step="asking the gateway"
            )
    except Cancelled:
        raise
    except RemoteError as e:
        return str(e)
    # One of before knows no such question, and ends with a status.
    if answer.status or answer.stdout.strip() == "no":
        return "it has not loaded it yet"
    return ""


def _first_line(channel: paramiko.Channel, watch: Waiting, node: str) -> str:
    heard = b""
    while b"\n" not in heard:
        watch.check(f"waiting for {node} to finish what it has begun")
        if channel.recv_ready():
            heard += channel.recv(4096)
        elif channel.exit_status_ready():
            raise CommandFailed(f"its {PROGRAM} ended with status {channel.recv_exit_status()}")
        else:
            time.sleep(0.05)
    return heard.decode(errors="replace").strip()


def _tell(channel: paramiko.Channel) -> None:
    """That the node serves again. Nobody waits for the answer yet: all gateways of a stack hear it at once."""
    with suppress(*_BROKEN):
        channel.sendall(SERVES)
        channel.shutdown_write()


def _give_back(channel: paramiko.Channel, waiting: Waiting) -> None:
    """Ends the program's stdin, waits until it has made the node ready again, and passes on what it says of that."""
    with suppress(*_BROKEN):
        channel.shutdown_write()
        while not channel.status_event.wait(POLL_S) and waiting.remaining_s and not waiting.cancelled():
            pass
        if channel.recv_ready():
            waiting.say(channel.recv(4096).decode(errors="replace").strip())


def _open(gateway: Host, private_keys: Sequence[str], cancelled: Callable[[], bool]) -> Connection:
    """By the first key that the machine knows: in the middle of a rotation it may be either."""
    refusal: RemoteError = Unreachable("no key to try")
    for key in private_keys:
        try:
            return Connection.open(gateway, key, cancelled=cancelled)
        except AuthenticationFailed as e:
            refusal = e
    raise refusal
