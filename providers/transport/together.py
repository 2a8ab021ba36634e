"""One answer for all who ask the same at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Calls `ask` for all callers that wait for their turn. Nobody gets an answer that was asked for before he came.

    At one request a second, 32 machines that are looked at one by one would each be seen twice a minute, and a launch
    would queue behind all of them: so clouds with a rate limit answer `get` from a listing that is asked for like this.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._next: Future[T] | None = None
        self._guard = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self) -> T:
        """Raises what `ask` raises."""
        with self._guard:
            mine, leads = self._next, self._next is None
            if mine is None:
                mine = self._next = Future()
        if leads:
            with self._turn:
                with self._guard:
                    self._next = None  # from here on it is too late to join
                try:
                    mine.set_result(self._ask())
                except BaseException as e:
                    mine.set_exception(e)
        return mine.result()
