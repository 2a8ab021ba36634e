"""How long work talks to the person who waits for it, and hears that it should stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from providers.base import Say
from providers.errors import Cancelled

POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Waiting:
    """Given to everything that can take long. All times are seconds of `clock`."""

    say: Say = lambda message: None
    warn: Say = lambda message: None
    """Shows a line that stays in the report of the run."""
    cancelled: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def pause(self, seconds: float) -> None:
        """Sleeps in short steps. Raises Cancelled within a quarter of a second of the interruption."""
        end = self.clock() + seconds
        while True:
            if self.cancelled():
                raise Cancelled("interrupted")
            left = end - self.clock()
            if left <= 0:
                return
            self.sleep(min(POLL_S, left))

    @contextmanager
    def turn(self, lock: threading.Lock) -> Iterator[None]:
        """Holds `lock`; waiting for it can be interrupted. Raises Cancelled."""
        while not lock.acquire(timeout=POLL_S):
            if self.cancelled():
                raise Cancelled("interrupted while waiting for its turn")
        try:
            yield
        finally:
            lock.release()


@dataclass(slots=True)
class Locks:
    """One lock per name, made on first use; for the life of the process."""

    _locks: dict[object, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __getitem__(self, name: object) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())
