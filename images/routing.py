"""A node that is to change is out of the gateway's rotation first, and back in it afterwards, whatever happens.

vLLM keeps listening while it shuts down, with /health at 200, and gives new requests an empty answer that ends in
"abort" (0.32): so its own graceful stop is not enough.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

import paramiko

from images.errors import AuthenticationFailed, InstallError, Unreachable
from images.placement import Placement
from images.ssh import Connection

PROGRAM = "bin/route.py"
"""The gateway bundle's program: `route.py NODE LIMIT_S` drains, says one line, and holds until its stdin ends."""
SLACK_S = 15


@contextmanager
def out_of_rotation(
    gateway: Placement, node: str, private_keys: Sequence[str], limit_s: int, say: Callable[[str], None]
) -> Iterator[None]:
    """Holds `node` out while the block runs. If this process dies, its connection ends and the gateway takes the node
    back. A gateway that cannot be told stops no repair: that is said, and the block runs all the same."""
    try:
        connection = _open(gateway, private_keys)
        channel = connection.start(
            f"exec python3 {shlex.quote(f'{gateway.root}/{PROGRAM}')} {shlex.quote(node)} {limit_s}"
        )
    except InstallError as e:
        say(f"changing {node} without the gateway's help: {e}")
        with nullcontext():
            yield
        return
    with connection:
        try:
            channel.settimeout(limit_s + SLACK_S)
            with suppress(TimeoutError):
                line = channel.makefile("r").readline().strip()
                say(line or f"changing {node} without the gateway's help: it has no {PROGRAM} yet")
            yield
        finally:
            with suppress(OSError, EOFError, paramiko.SSHException):
                channel.shutdown_write()
                channel.status_event.wait(SLACK_S)


def _open(gateway: Placement, private_keys: Sequence[str]) -> Connection:
    """By the first key that the machine knows: in the middle of a rotation it may be either."""
    refusal: InstallError = Unreachable("no key to try")
    for key in private_keys:
        try:
            return Connection.open(gateway, key)
        except AuthenticationFailed as e:
            refusal = e
    raise refusal
