"""Rule budget: nodes, overhead and what the gateway may spend stay within the budget."""

from __future__ import annotations

from fractions import Fraction

from cost_guard import wording
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, Question, VerdictRule
from cost_guard.verdict.words import money
from cost_guard.wording import to_decimal, usd

WARNING = Fraction(9, 10)
"""Of the budget: above it, it warns."""


def find(asked: Question) -> Objection | None:
    """By what bills whatever the volume, all models of the stack together: nodes at their dearest, overhead, and
    gateway.managedBudgetUsdPerMonth, against constraints.budgetUsdPerMonth."""
    gateway = asked.proposal.gateway
    open_end = (
        "gateway.fallback bills money, and nothing says how much it may: set gateway.managedBudgetUsdPerMonth."
        if gateway.paid_fallback and gateway.managed_budget_usd_per_month is None
        else ""
    )
    limit, fixed = asked.proposal.scenario.constraints.budget_usd_per_month, asked.stack.billed_usd_per_month
    if limit is None or fixed is None:
        return Objection(Level.WARN, open_end) if open_end else None
    bill = fixed + Fraction(gateway.managed_budget_usd_per_month or 0)
    what = "nodes, overhead and the gateway's managed budget" if bill != fixed else "nodes and overhead"
    text = f"{what} cost {money(bill)}/month, the budget is {usd(limit)}/month"
    if bill > Fraction(limit):
        over = f"{text}: {money(bill - Fraction(limit))} over it. Fewer or cheaper nodes, or a larger budget."
        return Objection(Level.BLOCK, f"{over} {open_end}".rstrip())
    if bill > WARNING * Fraction(limit):
        used = wording.percent(to_decimal(bill / Fraction(limit)))
        return Objection(Level.WARN, f"{text}: {used} of it is used. {open_end}".rstrip())
    return Objection(Level.WARN, open_end) if open_end else None


RULE = VerdictRule(
    code="budget",
    position=80,
    severity=Severity.HIGH,
    demand="Nodes, overhead and what the gateway may spend must stay within the budget.",
    remedy="Rent fewer or cheaper nodes, or have constraints.budgetUsdPerMonth raised by whom it belongs to.",
    key=("constraints", "budgetUsdPerMonth"),
    asks=Question,
    find=find,
)
