"""Rule budget: nodes and overhead stay within the budget."""

from __future__ import annotations

from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import CaseQuestion, Objection, VerdictRule
from cost_guard.verdict.words import money
from cost_guard.wording import usd

WARNING = Fraction(9, 10)
"""Of the budget: above it, it warns."""


def find(asked: CaseQuestion) -> Objection | None:
    """By what the fleet bills whatever the volume: nodes and overhead, against constraints.budgetUsdPerMonth."""
    limit = asked.proposal.scenario.constraints.budget_usd_per_month
    if limit is None:
        return None
    fixed = asked.case.stairs.fixed
    text = f"nodes and overhead cost {money(fixed)}/month, the budget is {usd(limit)}/month"
    if fixed > Fraction(limit):
        over = money(fixed - Fraction(limit))
        return Objection(Level.BLOCK, f"{text}: {over} over it. Fewer or cheaper nodes, or a larger budget.")
    if fixed > WARNING * Fraction(limit):
        used = wording.percent(to_decimal(fixed / Fraction(limit)))
        return Objection(Level.WARN, f"{text}: {used} of it is used.")
    return None


RULE = VerdictRule(
    code="budget",
    position=80,
    severity=Severity.HIGH,
    demand="Nodes and overhead must stay within the budget.",
    remedy="Rent fewer or cheaper nodes, or have constraints.budgetUsdPerMonth raised by whom it belongs to.",
    key=("constraints", "budgetUsdPerMonth"),
    asks=CaseQuestion,
    find=find,
)
