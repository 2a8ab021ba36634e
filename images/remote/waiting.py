"""Waiting, for all that takes long: with a deadline, an interruption, and something to read meanwhile."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from images.remote.errors import Cancelled, DeadlineExceeded, RemoteError

Say = Callable[[str], None]
"""Shows one line of progress to the person who waits."""
POLL_S = 0.25
"""How long an interruption may go unheard."""
Found = TypeVar("Found")


@dataclass(slots=True)
class Waiting:
    """How work that takes long talks to the person who waits, and hears that it should stop. All times are seconds of
    `clock`; `deadline_s` counts from the making."""

    deadline_s: float = math.inf
    cancelled: Callable[[], bool] = lambda: False
    say: Say = lambda message: None
    warn: Say = lambda message: None
    """Shows a line that stays in the report of the run."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _end: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._end = self.clock() + self.deadline_s

    def within(self, seconds: float) -> Waiting:
        """The same with a deadline from now on, and never beyond its own."""
        return replace(self, deadline_s=min(seconds, self.remaining_s))

    @contextmanager
    def apart(self, seconds: float) -> Iterator[Waiting]:
        """The same with a deadline of its own, of so many seconds; this one stands still meanwhile."""
        begun = self.clock()
        try:
            yield replace(self, deadline_s=seconds)
        finally:
            self._end += self.clock() - begun

    @property
    def remaining_s(self) -> float:
        """Never negative."""
        return max(0.0, self._end - self.clock())

    def check(self, step: str) -> None:
        """Raises Cancelled or DeadlineExceeded, naming the step."""
        if self.cancelled():
            raise Cancelled(f"interrupted while {step}; what is done is kept, and the next run resumes")
        if self.remaining_s == 0:
            raise DeadlineExceeded(
                f"not done within {self.deadline_s:g} s, stopped while {step}; what is done is kept, and the next run "
                "resumes"
            )

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
        """Holds `lock`; waiting for it is said, and can be interrupted. Raises Cancelled."""
        said = False
        while not lock.acquire(timeout=POLL_S):
            if self.cancelled():
                raise Cancelled("interrupted while waiting for its turn")
            if not said:
                self.say("waiting for its turn")
                said = True
        try:
            yield
        finally:
            lock.release()


class NotYet(Exception):
    """An attempt of `until` that is to be made again, after `pause_s`. Its message is the status so far."""

    def __init__(self, status: str, pause_s: float) -> None:
        super().__init__(status)
        self.pause_s = pause_s


def until(attempt: Callable[[], Found], waiting: Waiting, who: str, late: Callable[[str], RemoteError]) -> Found:
    """What `attempt` returns; it is made again while it raises NotYet, and each new status is said once. At the
    deadline, which no pause outlasts, raises `late(the last status)`, but no attempt is cut short; also Cancelled, and
    what `attempt` raises."""
    last = ""
    while True:
        try:
            return attempt()
        except NotYet as e:
            status, pause_s = str(e), e.pause_s
        if status != last:
            waiting.say(f"waiting for {who}: {status}")
            last = status
        if waiting.remaining_s == 0:
            raise late(last)
        waiting.pause(min(pause_s, waiting.remaining_s))


@dataclass(slots=True)
class Locks:
    """One lock per name, made on first use; for the life of the process."""

    _locks: dict[object, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __getitem__(self, name: object) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())


@dataclass(slots=True)
class Progress:
    """Passes on the first line and then at most one every `every_s`, so that a chatty step shows that it lives."""

    say: Say
    prefix: str = ""
    every_s: float = 5.0
    _next: float = 0.0

    @property
    def due(self) -> bool:
        """Whether a line would be passed on now."""
        return time.monotonic() >= self._next

    def __call__(self, line: str) -> None:
        """Takes one line of a step's output."""
        if line.strip() and self.due:
            self._next = time.monotonic() + self.every_s
            self.say(f"{self.prefix}{line.strip()[:200]}")
