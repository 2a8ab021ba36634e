"""The day that everything is judged by."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from strict.day import today
from strict.problems import Problems


def test_the_day_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSOVER_TODAY", "2026-12-22")
    assert today() == date(2026, 12, 22)
    monkeypatch.setenv("CROSSOVER_TODAY", "tomorrow")
    with pytest.raises(Problems, match="'tomorrow', which is no date"):
        today()


def test_else_it_is_the_clock_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSOVER_TODAY", raising=False)
    before = datetime.now(UTC).date()
    assert before <= today(UTC) <= datetime.now(UTC).date()
