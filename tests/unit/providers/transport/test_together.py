"""One answer serves all who ask meanwhile, and nobody gets one that is older than his question."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.errors import NotFound
from providers.transport.together import Together


class Counted:
    """A lock that tells when it was let go for the `n`th time."""

    def __init__(self, n: int) -> None:
        self.lock, self.left, self.reached = threading.Lock(), n, threading.Event()

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.reached.set()
        self.lock.release()


def test_threads_that_look_at_the_same_time_share_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a request is under way eight ask; none gets its answer, which is older than their question, and the
    eight share the next."""
    rounds = iter(range(1, 99))
    look, under_way, joined = Together(lambda: next(rounds)), threading.Lock(), Counted(8)
    assert look() == 1
    monkeypatch.setattr(look, "_turn", under_way)
    monkeypatch.setattr(look, "_guard", joined)
    with ThreadPoolExecutor(8) as pool:
        with under_way:
            answers = [pool.submit(look) for _ in range(8)]
            assert joined.reached.wait(30)
        assert {answer.result() for answer in answers} == {2}


def test_a_shared_look_that_fails_fails_for_everybody_and_the_next_is_new() -> None:
    answers: Iterator[NotFound | str] = iter([NotFound("gone"), "there"])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    look = Together(ask)
    with pytest.raises(NotFound):
        look()
    assert look() == "there"
