"""The verdict on several models: the worst of theirs, and the sum of what can be summed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from cost_guard import wording
from cost_guard.verdict.bending import level_of
from cost_guard.verdict.figures import BreakEven, Capacity, TcoFigures, decimal_or_none
from cost_guard.verdict.rule import StackTotals
from cost_guard.verdict.verdict import Reason, Verdict

STACKS_OWN = ("budget",)
"""Codes that are judged on the sum: every model has the same to say."""


def summed(verdicts: Sequence[Verdict], stack: StackTotals) -> Verdict:
    """At least two, of one stack."""

    def total(figure: Callable[[Verdict], Decimal | None]) -> Decimal | None:
        found = [figure(one) for one in verdicts]
        known = [one for one in found if one is not None]
        return sum(known, Decimal(0)) if len(known) == len(found) else None

    reasons = tuple(dict.fromkeys(_named(one, reason) for one in verdicts for reason in one.reasons))
    ours, theirs = total(lambda one: one.self_hosted_usd_per_month), total(lambda one: one.managed_usd_per_month)
    first = verdicts[0]
    return replace(
        first,
        name="",
        models=tuple(verdicts),
        level=level_of(reasons),
        headline=_headline(len(verdicts), ours, theirs),
        reasons=reasons,
        notes=tuple(dict.fromkeys(note for one in verdicts for note in one.notes)),
        fixed_usd_per_month=total(lambda one: one.fixed_usd_per_month),
        dearest_usd_per_month=decimal_or_none(stack.fixed_usd_per_month),
        billed_usd_per_month=decimal_or_none(stack.billed_usd_per_month),
        self_hosted_usd_per_month=ours,
        worst_case_usd_per_month=_worst_case(first, ours),
        managed_usd_per_month=theirs,
        managed_usd_per_million=None,
        displaced_tokens_per_month=None,
        break_even=BreakEven(),
        capacity=Capacity(),
        tco=TcoFigures(
            max(one.tco.months for one in verdicts),
            total(lambda one: one.tco.self_hosted_usd),
            total(lambda one: one.tco.managed_usd),
        ),
        options=(),
        recommendation=None,
        sources_say="",
        same_weights=None,
        rungs={},
        readings=(),
        inputs={f"{one.name}.{key}": given for one in verdicts for key, given in one.inputs.items()},
        shown=None,
    )


def _named(verdict: Verdict, reason: Reason) -> Reason:
    """Said of its model."""
    own = reason.code in STACKS_OWN
    return reason if own else replace(reason, message=f"{verdict.name}: {reason.message}")


def _worst_case(first: Verdict, ours: Decimal | None) -> Decimal | None:
    """The gateway is the stack's: what it may spend counts once."""
    one, cost = first.worst_case_usd_per_month, first.self_hosted_usd_per_month
    return None if ours is None or one is None or cost is None else ours + one - cost


def _headline(count: int, ours: Decimal | None, theirs: Decimal | None) -> str:
    if ours is None or theirs is None:
        return f"What {count} models cost is not known."
    gap = theirs - ours
    return (
        f"{count} models cost {wording.usd(ours)}/month self-hosted against {wording.usd(theirs)}/month managed: "
        f"{wording.usd(abs(gap))}/month {'saved' if gap >= 0 else 'too much'}."
    )
