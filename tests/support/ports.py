"""Free ports of loopback, which nobody else takes before they are bound."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable, Iterator

FIRST, EACH, WORKERS = 10_000, 1000, 10
"""Below the ports that the kernel gives to outgoing connections (from 32768), and below those of `local` (from 20000):
what binds port 0 takes none of them while a service of a test is on its way to its own. Each worker has a range."""
LOCAL_FIRST, LOCAL_EACH = 20_000, 1200
"""The same for the machines that a worker's stacks have at `local`."""


def worker() -> int:
    """The number of this worker of pytest-xdist, 0 without it."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS


def local_bounds() -> tuple[int, int]:
    """The first and the last port of this worker's machines at `local`, `LocalConfig`'s last values. Such a machine has
    ports before it binds them: in the range of all, one of another worker's stack could be taken from it meanwhile."""
    first = LOCAL_FIRST + LOCAL_EACH * worker()
    return first, first + LOCAL_EACH - 1


def local_range() -> dict[str, str]:
    """The same as the environment of a command."""
    first, last = local_bounds()
    return {"CROSSOVER_LOCAL_PORTS": f"{first}-{last}"}


def _candidates() -> Iterator[int]:
    first = FIRST + EACH * worker()
    begin = random.SystemRandom().randrange(EACH)  # a second run on this computer begins elsewhere
    while True:
        yield from (first + (begin + n) % EACH for n in range(EACH))


_next = _candidates()


def free_port() -> int:
    """One that is free now, and that no other test of this run asks for soon."""
    for _ in range(EACH):
        port = next(_next)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port from {FIRST + EACH * worker()} on is free")


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """One for each name, all different."""
    return {name: free_port() for name in names}
