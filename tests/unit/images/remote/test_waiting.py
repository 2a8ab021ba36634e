"""Deadlines, interruptions, progress and masks."""

from __future__ import annotations

import pytest

from images.remote.errors import Cancelled, DeadlineExceeded
from images.remote.mask import Mask
from images.remote.waiting import Progress, Waiting


def test_an_interruption_and_a_deadline_name_the_step() -> None:
    Waiting(60).check("working")
    with pytest.raises(Cancelled, match="while working"):
        Waiting(60, lambda: True).check("working")
    with pytest.raises(DeadlineExceeded, match="within 0 s, stopped while working"):
        Waiting(0).check("working")


def test_progress_shows_the_first_line_and_then_one_every_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [100.0], list[str]()
    monkeypatch.setattr("images.remote.waiting.time.monotonic", lambda: now[0])
    progress = Progress(said.append, prefix="pip: ", every_s=5)
    for second, line in enumerate(["", "a", "b", "c", "d", "e", "f"]):
        now[0] = 100 + second
        progress(line)
    assert said == ["pip: a", "pip: f"]


def test_secrets_are_masked_whole_by_line_and_longest_first() -> None:
    mask = Mask(["sk-1234", "sk-1234567", "-----BEGIN KEY-----\nAAAABBBB\nCCCCDDDD\n-----END KEY-----\n", "abc", ""])
    assert mask("key sk-1234567, then sk-1234") == "key ***, then ***"
    assert mask("CCCCDDDD") == "***"
    assert mask("-----BEGIN KEY----- abc") == "-----BEGIN KEY----- abc"
