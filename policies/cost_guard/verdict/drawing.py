"""The draws of a proposal: which sigmas hold, and what the readings come to under them."""

from __future__ import annotations

from collections.abc import Sequence

from cost_guard.arithmetic.draws import Odds
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import Horizon
from cost_guard.verdict.rule import Question


def odds_of(asked: Question, readings: Sequence[Reading], horizons: Sequence[Horizon]) -> list[Odds]:
    """Of each reading; all see the same draws."""
    return [Odds(None, None, None, 1, 1, 1) for _ in readings]
