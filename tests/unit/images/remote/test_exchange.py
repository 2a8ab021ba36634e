"""What a script said last is not lost by whoever is slow to hear it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import paramiko
import pytest

from images.remote import exchange
from images.remote.exchange import Exchange
from images.remote.waiting import Waiting


class Channel:
    """A script has ended, and its output comes at one of the next looks, or never; then nothing ends the output."""

    eof_received = False

    def __init__(self, at_look: int) -> None:
        self._left = at_look

    def recv_ready(self) -> bool:
        self._left -= 1
        return self._left == 0

    def recv(self, _: int) -> bytes:
        return b"begin\nthe last words\n"

    def exit_status_ready(self) -> bool:
        return True

    def recv_stderr_ready(self) -> bool:
        return False

    def recv_exit_status(self) -> int:
        return 0

    def setblocking(self, _: bool) -> None:
        """It never blocks."""

    def shutdown_write(self) -> None:
        """Nobody reads."""

    def close(self) -> None:
        """It has ended."""


class AtOnce(Channel):
    """Output, status and end come together, right after a look that found nothing."""

    def __init__(self) -> None:
        super().__init__(at_look=2)

    def exit_status_ready(self) -> bool:
        return self._left < 2

    @property
    def eof_received(self) -> bool:  # type: ignore[override]
        return self._left < 2


def test_output_that_comes_with_the_end_is_heard() -> None:
    channel = cast(paramiko.Channel, cast(Any, AtOnce()))
    result = Exchange(channel, "begin", b"", None).finish(Waiting(), "asking")
    assert (result.status, result.stdout) == (0, "the last words\n")


@pytest.mark.parametrize(("at_look", "said"), [(5, "the last words\n"), (-1, "")])
def test_output_that_follows_the_status_is_heard_though_the_computer_stands_still_meanwhile(
    at_look: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three seconds at each pause. What never comes is not waited for for ever."""
    now = [0.0]
    stands_still = SimpleNamespace(sleep=lambda _: now.append(now[-1] + 3), monotonic=lambda: now[-1])
    monkeypatch.setattr(exchange, "time", stands_still)
    channel = cast(paramiko.Channel, cast(Any, Channel(at_look)))
    result = Exchange(channel, "begin", b"", None).finish(Waiting(), "asking")
    assert (result.status, result.stdout) == (0, said)
