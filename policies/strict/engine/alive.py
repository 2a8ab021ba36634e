"""Whether the engine that started this process lives: `kill -9` of it sends nobody a signal."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

_CONNECT_S = 5.0
_BETWEEN_S = 0.2
"""An engine that takes a connection and ends it at once is asked no oftener."""


def when_gone(address: str, act: Callable[[], object]) -> None:
    """Calls `act` once, in a thread of its own, as soon as nothing listens at `address` ("127.0.0.1:43210"), which may
    be at once. A process that ends meanwhile does not wait for it."""

    def watch() -> None:
        wait_until_gone(address)
        act()

    Thread(target=watch, name="engine", daemon=True).start()


def wait_until_gone(address: str) -> None:
    """Returns as soon as nothing listens there.

    The kernel ends a dead process' connections at once, so one is held open and nothing said over it. The engine ends
    one that says nothing after two minutes (grpc-go's `ConnectionTimeout`): then the next is opened.
    """
    host, _, port = address.rpartition(":")
    while True:
        try:
            connection = socket.create_connection((host, int(port)), _CONNECT_S)
        except TimeoutError:  # so busy that it takes none
            continue
        except OSError:
            return
        with connection, suppress(OSError):  # a reset is an end, too
            connection.settimeout(None)
            while connection.recv(4096):
                pass
        time.sleep(_BETWEEN_S)
