"""What lets a BLOCK through: a repair within what was approved, a fleet that bills nothing, a waiver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic.costing import Case
from cost_guard.codes import Level, worst
from cost_guard.scenario.scenario import Baseline
from cost_guard.scenario.waivers import unused_words
from cost_guard.verdict.rule import Question
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.verdict import Reason, Verdict
from cost_guard.verdict.words import money
from strict import names


def bent(reason: Reason, asked: Question, case: Case | None) -> Reason:
    """Repair is never blocked; what bills nothing is not blocked for old data."""
    if reason.level is not Level.BLOCK:
        return reason
    if RULES[reason.code].only_for_bills and not bills_money(asked):
        return replace(reason, level=Level.WARN, message=f"{reason.message} It would block what bills money.")
    baseline = asked.proposal.baseline
    if baseline is None or case is None or not RULES[reason.code].repair_goes_through:
        return reason
    approved = f"{wording.count(baseline.nodes, 'node')}, {wording.usd(baseline.usd_per_month)}/month"
    fixed = case.stairs.fixed
    if exceeds(baseline, case.stairs.nodes, fixed):
        asks = f"{wording.count(case.stairs.nodes, 'node')}, {money(fixed)}/month"
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


def exceeds(baseline: Baseline, nodes: int, fixed: Fraction) -> bool:
    """The deployment is growth: more nodes, or more money a month, than was approved."""
    return nodes > baseline.nodes or fixed > Fraction(baseline.usd_per_month)


def waived(verdict: Verdict, asked: Question) -> Verdict:
    """The verdict with its BLOCKs waived where a waiver covers them; its level is then at least WARN.

    A BLOCK that an expired or void waiver covers says so. Waivers of the verdict's codes that are not needed are told
    in the notes.
    """
    reasons = tuple(_settled(reason, verdict, asked) for reason in verdict.reasons)
    unneeded = _unneeded(verdict.reasons, asked)
    if reasons == verdict.reasons and not unneeded:
        return verdict
    level = worst(reason.level for reason in reasons)
    return replace(verdict, level=level, reasons=reasons, notes=(*verdict.notes, *unneeded))


def _settled(reason: Reason, verdict: Verdict, asked: Question) -> Reason:
    if reason.level is not Level.BLOCK:
        return reason
    given, cost = asked.proposal, verdict.dearest_usd_per_month
    level, message = given.waivers.settle(reason.code, reason.message, given.urn, asked.today, cost)
    return replace(reason, level=level, message=message)


def _unneeded(reasons: Sequence[Reason], asked: Question) -> tuple[str, ...]:
    given = asked.proposal
    blocked = [(reason.code, given.urn) for reason in reasons if reason.level is Level.BLOCK]
    unused = given.waivers.unused(names.stack_of(given.urn), asked.today, blocked)
    return tuple(unused_words(waiver, given.urn) for waiver in unused if waiver.policy in RULES)
