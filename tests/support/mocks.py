"""Pulumi's mocks, which leave no event loop behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pulumi.runtime import mocks, settings


class Monitor(mocks.MockMonitor):
    """Keeps what is registered, options and all, by type and name.

    Pulumi registers in worker threads, and its mocks make an event loop for each of them that nobody closes. Python
    closes such a loop when it ends, often after the loop's sockets: then it prints `ValueError: Invalid file
    descriptor: -1` behind the program's last line.
    """

    def __init__(self, answers: mocks.Mocks) -> None:
        super().__init__(answers)
        self.requests: dict[tuple[str, str], Any] = {}

    def RegisterResource(self, request: Any) -> Any:
        self.requests[request.type, request.name] = request
        with _loop_closed():
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def ReadResource(self, request: Any) -> Any:
        with _loop_closed():
            return super().ReadResource(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any) -> Any:
        with _loop_closed():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


@contextmanager
def _loop_closed() -> Iterator[None]:
    """Closes a worker thread's loop."""
    try:
        yield
    finally:
        if threading.current_thread() is not threading.main_thread():
            with suppress(RuntimeError):  # the stack itself needs none
                asyncio.get_event_loop().close()
                asyncio.set_event_loop(None)


@contextmanager
def current_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop as the thread's current one: the mocks take that, and it is None after any asyncio.run."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        settings.reset_options()
        asyncio.set_event_loop(None)
        loop.close()
