"""The gate: a proposal and the catalogue in, a verdict out. Pure: no clock, no file, no Pulumi."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.arithmetic.costing import Case, Rung, case_of, rungs
from cost_guard.arithmetic.managed import managed_price
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.codes import Level, worst
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Baseline, ScenarioError
from cost_guard.verdict import figures
from cost_guard.verdict.bending import bent, waived
from cost_guard.verdict.hours import told_of_hours
from cost_guard.verdict.inputs import inputs
from cost_guard.verdict.notes import notes
from cost_guard.verdict.recommendation import recommend
from cost_guard.verdict.rule import CaseQuestion, Question, RungQuestion
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.verdict import NO_BREAK_EVEN, BreakEven, Reason, Verdict
from cost_guard.verdict.words import money

UNIT_SLIP = 100
"""How far a volume in millions may be from the fleet's own size, as a factor either way."""


@dataclass(frozen=True)
class _Judged:
    """One rung's outcome; `case` is None where a price or throughput is unknown."""

    rung: Rung
    case: Case | None
    break_even: BreakEven
    reasons: tuple[Reason, ...]

    @property
    def badness(self) -> tuple[int, int, Fraction]:
        """Orders rungs: verdict, number of blocks, cost per month at V."""
        blocks = sum(reason.level is Level.BLOCK for reason in self.reasons)
        cost = self.case.stairs.cost(self.case.volume) if self.case else Fraction(0)
        return (worst(reason.level for reason in self.reasons).rank, blocks, cost)

    @property
    def fixed(self) -> Fraction:
        """What nodes and overhead cost, USD per month; 0 where that is unknown."""
        return self.case.stairs.fixed if self.case else Fraction(0)


def judge(proposal: Proposal, catalogue: Catalogue, day: date) -> Verdict:
    """The verdict on a proposal as of a day, under its waivers.

    Raises ScenarioError where the numbers of a usage file are not in the scenario that names it, for an approval in the
    future, for a candidate that may not stand for another, and for a volume given in millions.
    """
    _refuse(proposal, catalogue, day)
    asked = Question(proposal, catalogue, managed_price(proposal.scenario, catalogue), day)
    once = _reasons(asked)
    judged = [_of_rung(asked, rung, once) for rung in rungs(proposal.scenario, catalogue)]
    verdict = waived(_verdict(asked, judged), asked)
    return told_of_hours(verdict, proposal, lambda given: judge(given, catalogue, day))


def refuse_future(baseline: Baseline | None, today: date) -> None:
    """An approval in the future would make a fleet young for ever. Raises ScenarioError."""
    if baseline is not None and baseline.date > today:
        raise ScenarioError(f"baseline.date: {baseline.date} is after today, {today}; give the day of the approval")


def _refuse(proposal: Proposal, catalogue: Catalogue, day: date) -> None:
    """Raises ScenarioError for what cannot be judged before a price is known."""
    scenario = proposal.scenario
    if scenario.workload.usage is not None:
        raise ScenarioError(f"workload.usage: {scenario.workload.usage} was not read")
    refuse_future(proposal.baseline, day)
    for key, ladder in scenario.fleet.ladders.items():
        for number, rung in enumerate(ladder):
            if rung.stands_for is not None and not catalogue.cloud(rung.cloud).stands_in:
                standing = " and ".join(name for name, facts in catalogue.clouds.items() if facts.stands_in)
                raise ScenarioError(
                    f"fleet.nodes.{key}.candidates[{number}]: standsFor is only for the cloud {standing}, got cloud "
                    f"{rung.cloud!r}; remove it"
                )


def _of_rung(asked: Question, rung: Rung, once: Sequence[Reason]) -> _Judged:
    """What the rules say of one rung, with what they say once. Raises ScenarioError for a volume given in millions."""
    given, managed, day = asked.proposal, asked.managed, asked.today
    case = case_of(given.scenario, rung, managed, given.baseline, day)
    of_rung = RungQuestion(given, asked.catalogue, managed, day, rung)
    found = [*once, *_reasons(of_rung)]
    if case is None:
        return _Judged(rung, None, NO_BREAK_EVEN, tuple(bent(reason, asked, None) for reason in found))
    if given.baseline is None and given.scenario.workload.kind != "measured":
        _refuse_millions(case)
    volumes = figures.break_even(case)
    of_case = CaseQuestion(given, asked.catalogue, managed, day, rung, case, volumes)
    found += _reasons(of_case)
    return _Judged(rung, case, volumes, tuple(bent(reason, asked, case) for reason in found))


def _reasons(asked: Question) -> list[Reason]:
    """What the rules say that are asked exactly this kind of question."""
    found = ((rule, rule.find(asked)) for rule in RULES.values() if rule.asks is type(asked))
    return [Reason(rule.code, said.level, said.message) for rule, said in found if said is not None]


def _refuse_millions(case: Case) -> None:
    """A volume that no fleet is worth, and a million times as large is of the fleet's own size, is in another unit.

    Not asked of a measured volume, nor where a baseline is: a repair goes through at any volume.
    """
    stairs, volume = case.stairs, case.volume
    if stairs.fixed / UNIT_SLIP <= stairs.managed(volume * 10**6) <= stairs.fixed * UNIT_SLIP:
        given, cost = f"{case.scenario.workload.tokens_per_month:f}", money(stairs.managed(volume))
        raise ScenarioError(
            f"workload.tokensPerMonth: {given} tokens a month cost {cost} managed, and the fleet "
            f"{money(stairs.fixed)}; did you give millions? Then write {given}e6"
        )


def _merged(judged: Sequence[_Judged]) -> tuple[Reason, ...]:
    """Each code once, at its worst over the rungs, told of the worst rung that has it so."""
    found: dict[str, Reason] = {}
    for one in sorted(judged, key=lambda one: one.badness, reverse=True):
        for reason in one.reasons:
            known = found.get(reason.code)
            if known is None or reason.level.rank > known.level.rank:
                of_one = len(judged) > 1 and RULES[reason.code].of_one_rung
                message = f"with every node on {one.rung.name}: {reason.message}" if of_one else reason.message
                found[reason.code] = replace(reason, message=message)
    return tuple(found[code] for code in RULES if code in found)


def _verdict(asked: Question, judged: Sequence[_Judged]) -> Verdict:
    """The figures of the rung with the worst verdict, the reasons of all."""
    given, managed = asked.proposal, asked.managed
    priced = [one for one in judged if one.case is not None]
    main = max(priced, key=lambda one: one.badness) if priced else judged[0]
    dearest = max(priced, key=lambda one: one.fixed, default=main)
    scenario, case, price = given.scenario, main.case, managed.usd_per_million
    spend = None if price is None else scenario.workload.displaced_tokens_per_month * price / 10**6
    reasons = _merged(judged)
    level = worst(reason.level for reason in reasons)
    return Verdict(
        level=level,
        headline=figures.headline(scenario, case, spend),
        reasons=reasons,
        notes=notes(scenario, asked.catalogue, [(one.rung, one.case) for one in judged], case, dearest.case),
        fixed_usd_per_month=to_decimal(case.stairs.fixed) if case else None,
        dearest_usd_per_month=to_decimal(dearest.fixed) if dearest.case else None,
        self_hosted_usd_per_month=to_decimal(case.stairs.cost(case.volume)) if case else None,
        managed_usd_per_month=spend,
        managed_usd_per_million=price,
        break_even=main.break_even,
        capacity=figures.capacity(case, main.rung),
        tco=figures.tco(scenario, case),
        recommendation=recommend(scenario, spend, level),
        inputs=inputs(scenario, main.rung, managed, asked.today, given.baseline, given.usage),
        case=case,
    )
