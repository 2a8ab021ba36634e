"""The gate: proposals and the catalogue in, a verdict out. Pure: no clock, no file, no Pulumi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from fractions import Fraction

from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import tco
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.codes import Level, worst
from cost_guard.scenario.models import SINGLE
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Baseline, ScenarioError
from cost_guard.verdict.bending import bent
from cost_guard.verdict.drawing import chances_of, sigmas_of
from cost_guard.verdict.facts.facts import Facts, facts_of, horizon_of, total
from cost_guard.verdict.making import verdict_of
from cost_guard.verdict.rule import Judged, Question, ReadingQuestion, StackTotals
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.stack import summed
from cost_guard.verdict.telling.hours import told_of_hours
from cost_guard.verdict.verdict import Reason, Verdict
from cost_guard.verdict.words import money, reading_words

UNIT_SLIP = 100
"""How far a volume in millions may be from the fleet's own size, as a factor either way."""


def judge(proposal: Proposal, catalogue: Catalogue, day: date) -> Verdict:
    """The verdict on one model's proposal as of a day, under its waivers.

    Raises ScenarioError where the numbers of a usage file are not in the scenario that names it, for an approval in the
    future, for a candidate that may not stand for another, and for a volume given in millions.
    """
    return judge_stack({SINGLE: proposal}, catalogue, day)


def judge_stack(proposals: Mapping[str, Proposal], catalogue: Catalogue, day: date) -> Verdict:
    """The verdict on all models of a stack, by their names: of one, its own; of several, the worst and the sum.

    What they share is split by their nodes' cost, each node at its first rung. Raises ScenarioError, as `judge`.
    """
    for proposal in proposals.values():
        _refuse(proposal, catalogue, day)
    known = {name: (proposal, facts_of(proposal, catalogue)) for name, proposal in proposals.items()}
    if len(known) > 1:
        known = {name: _bearing(known[name][0], share, catalogue) for name, share in _shares(known).items()}
    found = [facts for _, facts in known.values()]
    stack = StackTotals(
        nodes=sum(facts.nodes for facts in found),
        fixed_usd_per_month=total([facts.fixed_usd_per_month for facts in found]),
        billed_usd_per_month=total([facts.billed_usd_per_month for facts in found]),
    )
    verdicts = [
        _judge(Question(proposal, catalogue, day, facts, stack), name) for name, (proposal, facts) in known.items()
    ]
    return verdicts[0] if len(verdicts) == 1 else summed(verdicts, stack)


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


def _shares(known: Mapping[str, tuple[Proposal, Facts]]) -> dict[str, Fraction]:
    """What each model bears of what they share; by their nodes' number where a price is not known."""
    costs = {name: facts.first_usd_per_month for name, (_, facts) in known.items()}
    weights = {
        name: Fraction(known[name][1].nodes)
        if None in costs.values() or not any(costs.values())
        else Fraction(cost or 0)
        for name, cost in costs.items()
    }
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def _bearing(proposal: Proposal, share: Fraction, catalogue: Catalogue) -> tuple[Proposal, Facts]:
    given = replace(proposal, overhead_share=share)
    return given, facts_of(given, catalogue)


def _judge(asked: Question, name: str) -> Verdict:
    """Raises ScenarioError for a volume given in millions."""
    once = [bent(reason, asked) for reason in _reasons(asked)]
    judged = _judged(asked)
    if judged and asked.proposal.baseline is None and asked.proposal.usage is None:
        _refuse_millions(asked, judged[0].reading)
    of_readings = [(one, [bent(reason, asked) for reason in _reasons(_about(asked, one))]) for one in judged]
    verdict = verdict_of(asked, name, of_readings, _merged(asked, once, of_readings))
    return told_of_hours(verdict, asked.proposal, lambda given: judge(given, asked.catalogue, asked.today))


def _judged(asked: Question) -> list[Judged]:
    """Every reading with what it comes to; all of them see the same draws."""
    readings = asked.facts.readings
    horizons = [horizon_of(asked.proposal, asked.facts, reading, asked.today) for reading in readings]
    sigmas, outlook = sigmas_of(asked.proposal, asked.facts), asked.proposal.scenario.uncertainty.outlook
    odds = chances_of(readings, horizons, sigmas)
    return [
        Judged(reading, horizon, tco(reading, horizon), drawn, readings, sigmas, outlook)
        for reading, horizon, drawn in zip(readings, horizons, odds, strict=True)
    ]


def _about(asked: Question, judged: Judged) -> ReadingQuestion:
    given = {field.name: getattr(asked, field.name) for field in fields(Question)}
    return ReadingQuestion(**given, judged=judged)


def _reasons(asked: Question) -> list[Reason]:
    """What the rules say that are asked exactly this kind of question."""
    found = ((rule, rule.find(asked)) for rule in RULES.values() if rule.asks is type(asked))
    return [Reason(rule.code, said.level, said.message) for rule, said in found if said is not None]


def _refuse_millions(asked: Question, reading: Reading) -> None:
    """A volume that no fleet is worth, and a million times as large is of the fleet's own size, is in another unit.

    Not asked of a measured volume, nor where a baseline is: a repair goes through at any volume.
    """
    if reading.fixed / UNIT_SLIP <= reading.managed(reading.volume * 10**6) <= reading.fixed * UNIT_SLIP:
        given = f"{asked.proposal.scenario.workload.tokens_per_month:f}"
        raise ScenarioError(
            f"workload.tokensPerMonth: {given} tokens a month cost {money(reading.managed(reading.volume))} managed, "
            f"and the fleet {money(reading.fixed)}; did you give millions? Then write {given}e6"
        )


def _merged(
    asked: Question, once: Sequence[Reason], of_readings: Sequence[tuple[Judged, Sequence[Reason]]]
) -> tuple[Reason, ...]:
    """Each code once, at its worst over the readings, told of the worst reading that has it so."""
    found = {reason.code: reason for reason in once}

    def badness(one: tuple[Judged, Sequence[Reason]]) -> tuple[int, int, Fraction]:
        judged, reasons = one
        blocks = sum(reason.level is Level.BLOCK for reason in reasons)
        return worst(r.level for r in reasons).rank, blocks, judged.reading.cost(judged.reading.volume)

    for judged, reasons in sorted(of_readings, key=badness, reverse=True):
        for reason in reasons:
            known = found.get(reason.code)
            if known is None or reason.level.rank > known.level.rank:
                named = reading_words(judged.reading, asked.facts.readings)
                found[reason.code] = replace(reason, message=f"{named}{reason.message}")
    return tuple(found[code] for code in RULES if code in found)
