"""Waiting for a condition: what a test does instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
DEADLINE_S = 60.0
POLL_S = 0.02


def eventually(condition: Callable[[], Value | None], what: str, deadline_s: float = DEADLINE_S) -> Value:
    """The first true value of `condition`; fails, saying `what` was waited for, if there is none in time."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(POLL_S)
    return value
