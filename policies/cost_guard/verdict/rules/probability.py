"""Rule probability: the fleet is more likely to pay for itself than not."""

from __future__ import annotations

from decimal import Decimal

from cost_guard import wording
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, ReadingQuestion, VerdictRule

EVEN_ODDS, LIKELY = 0.5, 0.8
"""Paying at all is blocked below the first, paying for good is warned of below the second."""


def find(asked: ReadingQuestion) -> Objection | None:
    """By the share of draws in which it pays, and in which the volume reaches the break-even from which it pays for
    good."""
    odds, draws = asked.judged.odds, asked.proposal.scenario.uncertainty.draws
    if odds.probability_pays < EVEN_ODDS:
        share, limit = _percent(odds.probability_pays), wording.percent(Decimal(EVEN_ODDS), 0)
        return Objection(Level.BLOCK, f"in {share} of {draws:,} draws it pays, under {limit}; {_spread(asked)}.")
    if odds.probability >= LIKELY:
        return None
    share, limit = _percent(odds.probability), wording.percent(Decimal(LIKELY), 0)
    return Objection(
        Level.WARN,
        f"in {share} of {draws:,} draws the volume reaches the break-even from which it pays for good, under {limit} "
        f"(in {_percent(odds.probability_pays)} it pays); {_spread(asked)}.",
    )


def _spread(asked: ReadingQuestion) -> str:
    found = asked.judged.odds
    if found.p10 is None:
        return "in nine of ten draws no such break-even exists"
    quantiles = (("P10", found.p10), ("P50", found.p50), ("P90", found.p90))
    told = ", ".join(f"{name} {'none' if at is None else wording.tokens(Decimal(at))}" for name, at in quantiles)
    return f"that break-even is {told} tokens/month"


def _percent(share: float) -> str:
    return wording.percent(Decimal(share))


RULE = VerdictRule(
    code="probability",
    position=20,
    severity=Severity.HIGH,
    demand="A fleet must be more likely to pay for itself than not.",
    remedy="Narrow what is uncertain (measure the volume and the throughput), or plan farther above break-even.",
    key=("workload", "tokensPerMonth"),
    asks=ReadingQuestion,
    find=find,
    repair_goes_through=True,
)
