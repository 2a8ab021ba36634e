"""What lets a BLOCK through: a repair within what was approved, a fleet that bills nothing, a waiver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.codes import Level, worst
from cost_guard.scenario.scenario import Baseline
from cost_guard.scenario.waivers import unused_words
from cost_guard.verdict.rule import Question, StackTotals
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.verdict import Reason
from cost_guard.verdict.words import money
from strict import names

NO_BILL = "Here nothing is billed, so it only warns; where machines are billed it blocks."
"""Of what is not blocked because nothing is billed."""


def bent(reason: Reason, asked: Question) -> Reason:
    """Repair is never blocked; what bills nothing is not blocked for old or missing data."""
    if reason.level is not Level.BLOCK:
        return reason
    if RULES[reason.code].only_for_bills and not bills_money(asked):
        return replace(reason, level=Level.WARN, message=f"{reason.message} {NO_BILL}")
    baseline, stack = asked.proposal.baseline, asked.stack
    cost = stack.fixed_usd_per_month
    if baseline is None or cost is None or not RULES[reason.code].repair_goes_through:
        return reason
    approved = f"{wording.count(baseline.nodes, 'node')}, {wording.usd(baseline.usd_per_month)}/month"
    if exceeds(baseline, stack, asked):
        asks = f"{wording.count(stack.nodes, 'node')}, {money(_bill(cost, asked))}/month"
        return replace(reason, message=f"{reason.message} Growth beyond the baseline of {approved} to {asks}.")
    by = f"approved by {baseline.approved_by} on {baseline.date}"
    return replace(
        reason,
        level=Level.WARN,
        message=f"{reason.message} Repair within the baseline of {approved}, {by}: not blocked.",
    )


def bills_money(asked: Question) -> bool:
    """Whether a bill grows with an old price or a guessed volume: the proposal says so, or the candidates' clouds."""
    if asked.proposal.bills_money is not None:
        return asked.proposal.bills_money
    candidates = asked.proposal.scenario.fleet.candidates
    return not candidates or any(asked.catalogue.cloud(one.cloud).bills for one in candidates)


def exceeds(baseline: Baseline, stack: StackTotals, asked: Question) -> bool:
    """The deployment is growth: more nodes, or more money a month, than was approved. It counts the catalogue's prices:
    a ceiling is no purchase, and has its own rule."""
    cost = stack.fixed_usd_per_month
    more = cost is not None and _bill(cost, asked) > Fraction(baseline.usd_per_month)
    return stack.nodes > baseline.nodes or more


def _bill(cost: Fraction, asked: Question) -> Fraction:
    """Nodes, overhead, and what the gateway may spend."""
    return cost + Fraction(asked.proposal.gateway.managed_budget_usd_per_month or 0)


def waived(reasons: Sequence[Reason], asked: Question) -> tuple[tuple[Reason, ...], tuple[str, ...]]:
    """The reasons with their BLOCKs waived where a waiver covers them, and what is to be told of those that are not
    needed.

    A BLOCK that an expired or void waiver covers says so.
    """
    billed = asked.stack.billed_usd_per_month
    cost = None if billed is None else wording.to_decimal(billed)
    return tuple(_settled(reason, cost, asked) for reason in reasons), _unneeded(reasons, asked)


def level_of(reasons: Sequence[Reason]) -> Level:
    """The worst; a waiver makes it WARN."""
    return worst(reason.level for reason in reasons)


def _settled(reason: Reason, cost: Decimal | None, asked: Question) -> Reason:
    if reason.level is not Level.BLOCK:
        return reason
    given = asked.proposal
    level, message = given.waivers.settle(reason.code, reason.message, given.urn, asked.today, cost)
    return replace(reason, level=level, message=message)


def _unneeded(reasons: Sequence[Reason], asked: Question) -> tuple[str, ...]:
    given = asked.proposal
    blocked = [(reason.code, given.urn) for reason in reasons if reason.level is Level.BLOCK]
    unused = given.waivers.unused(names.stack_of(given.urn), asked.today, blocked)
    return tuple(unused_words(waiver, given.urn) for waiver in unused if waiver.policy in RULES)
