"""Rule probability: the fleet is more likely to pay for itself than not."""

from __future__ import annotations

from decimal import Decimal

from cost_guard import wording
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import CaseQuestion, Objection, VerdictRule

EVEN_ODDS, LIKELY = 0.5, 0.8
"""Below the first probability blocks, below the second it warns."""


def find(asked: CaseQuestion) -> Objection | None:
    """By the share of draws in which the volume reaches the stable break-even."""
    found = asked.break_even
    share = found.probability
    if share is None or share >= LIKELY:
        return None
    quantiles = (("P10", found.p10), ("P50", found.p50), ("P90", found.p90))
    told = ", ".join(f"{name} {'none' if at is None else wording.tokens(Decimal(at))}" for name, at in quantiles)
    spread = "in nine of ten draws none exists" if found.p10 is None else f"it is {told} tokens/month"
    draws = asked.proposal.scenario.uncertainty.draws
    limit = EVEN_ODDS if share < EVEN_ODDS else LIKELY
    return Objection(
        Level.BLOCK if share < EVEN_ODDS else Level.WARN,
        f"in {wording.percent(Decimal(share))} of {draws:,} draws the volume reaches the break-even from which it pays "
        f"for good, under {wording.percent(Decimal(limit), 0)}; {spread}.",
    )


RULE = VerdictRule(
    code="probability",
    position=20,
    severity=Severity.HIGH,
    demand="A fleet must be more likely to pay for itself than not.",
    remedy="Narrow what is uncertain (measure the volume and the throughput), or plan farther above break-even.",
    key=("workload", "tokensPerMonth"),
    asks=CaseQuestion,
    find=find,
    repair_goes_through=True,
)
