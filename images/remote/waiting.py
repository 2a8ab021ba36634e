"""Waiting with a deadline, an interruption and something to read meanwhile; and the mask for what is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from images.remote.errors import Cancelled, DeadlineExceeded

SHORTEST_MASKED = 4
"""Shorter secrets are not masked: doing so would blank out ordinary words and give the secret away by its gaps."""


@dataclass(slots=True)
class Watch:
    """Tells whether to go on. `deadline_s` counts from its making."""

    deadline_s: float
    cancelled: Callable[[], bool] = lambda: False
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.deadline_s

    @property
    def remaining_s(self) -> float:
        """Never negative."""
        return max(0.0, self._end - time.monotonic())

    def check(self, step: str) -> None:
        """Raises Cancelled or DeadlineExceeded, naming the step."""
        if self.cancelled():
            raise Cancelled(f"interrupted while {step}; what is done is kept, and the next run resumes")
        if self.remaining_s == 0:
            raise DeadlineExceeded(
                f"not done within {self.deadline_s:g} s, stopped while {step}; what is done is kept, and the next run "
                "resumes"
            )


@dataclass(slots=True)
class Progress:
    """Passes on the first line and then at most one every `every_s`, so that a chatty step shows that it lives."""

    say: Callable[[str], None]
    prefix: str = ""
    every_s: float = 5.0
    _next: float = 0.0

    def __call__(self, line: str) -> None:
        """Takes one line of a step's output."""
        now = time.monotonic()
        if line.strip() and now >= self._next:
            self._next = now + self.every_s
            self.say(f"{self.prefix}{line.strip()[:200]}")


class Mask:
    """Replaces secrets in a text. A secret of several lines (a PEM key) is masked line by line too."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts: set[str] = set()
        for secret in secrets:
            parts.add(secret.strip())
            parts.update(line.strip() for line in secret.splitlines() if not line.startswith("-----"))
        self._parts = sorted((p for p in parts if len(p) >= SHORTEST_MASKED), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text with each secret written as ***."""
        for part in self._parts:
            text = text.replace(part, "***")
        return text
