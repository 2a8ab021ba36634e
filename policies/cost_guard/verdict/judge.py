"""The gate: a scenario and the catalogue in, a verdict out. Pure: no clock, no file, no Pulumi."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic import montecarlo
from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.arithmetic.capacity import utilisation
from cost_guard.arithmetic.costing import Case, Rung, case_of, displaced_words, money, rungs
from cost_guard.arithmetic.horizon import project
from cost_guard.arithmetic.managed import ManagedPrice, managed_price
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.errors import ScenarioError
from cost_guard.scenario.fleet import LadderFleet
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.scenario.usage import Usage
from cost_guard.verdict import notes, reasons
from cost_guard.verdict.inputs import inputs
from cost_guard.verdict.verdict import RULES, BreakEven, Capacity, Input, Level, Reason, Tco, Verdict, worst

NOT_RENTED = frozenset({"local", "existing"})
"""Clouds where no bill grows with an old price or a guessed volume. The capability BILLS_NOTHING says more: an hour
costs nothing there, and at `existing` it costs what the purchase and the power cost."""

MANAGED_BELOW_USD, OPTIMISE_TO_USD = Decimal(20_000), Decimal(80_000)
"""The article's thresholds of managed spend a month."""

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


def evaluate(
    scenario: Scenario,
    catalogue: Catalogue,
    today: date,
    baseline: Baseline | None = None,
    *,
    bills_money: bool | None = None,
    usage: Usage | None = None,
) -> Verdict:
    """The verdict on a deployment.

    `baseline` is what was approved and runs: a deployment within it is repair. `bills_money=False` makes price-fresh
    and volume-measured advisory; by default it is read from the candidates' clouds. `usage` is where the scenario's
    volume comes from (`Scenario.with_usage`), and its last day is the volume's. Raises ScenarioError where the numbers
    of a usage file are not in the scenario that names it, for an approval in the future, and for a volume given in
    millions.
    """
    if scenario.workload.usage is not None:
        raise ScenarioError([f"workload.usage: {scenario.workload.usage} was not read"])
    refuse_future(baseline, today)
    soft = not (bills_money if bills_money is not None else _bills_money(scenario))
    since, counted = baseline.date if baseline else None, usage.to if usage else None
    work, managed = scenario.workload, managed_price(scenario, catalogue)
    common = [reasons.redundancy(scenario), reasons.volume_measured(work.kind, today, since, counted)]
    judged = []
    for rung in rungs(scenario, catalogue):
        case = case_of(scenario, rung, managed, baseline, today)
        if case is not None and baseline is None and work.kind != "measured":
            _refuse_millions(case)
        volumes = _break_even(case)
        found = [*common, reasons.price_known(rung, managed), reasons.price_fresh(rung, managed, today)]
        if case is not None:
            found += [reasons.break_even(case), reasons.probability(volumes, case)]
            found += [reasons.capacity(case), reasons.budget(case)]
        adjusted = tuple(_adjust(reason, baseline, case, soft) for reason in found if reason is not None)
        judged.append(_Judged(rung, case, volumes, adjusted))
    priced = [one for one in judged if one.case is not None]
    main = max(priced, key=lambda one: one.badness) if priced else judged[0]
    given = inputs(scenario, main.rung, managed, today, baseline, usage)
    dearest = max(priced, key=_fixed, default=main)
    told = notes.notes(scenario, catalogue, [(one.rung, one.case) for one in judged], main.case, dearest.case)
    return _verdict(scenario, managed, main, dearest, _merged(judged), told, given)


def refuse_future(baseline: Baseline | None, today: date) -> None:
    """An approval in the future would make a fleet young for ever. Raises ScenarioError."""
    if baseline is not None and baseline.date > today:
        raise ScenarioError([f"baseline.date: {baseline.date} is after today, {today}; give the day of the approval"])


def _fixed(judged: _Judged) -> Fraction:
    return judged.case.stairs.fixed if judged.case else Fraction(0)


def _bills_money(scenario: Scenario) -> bool:
    fleet = scenario.fleet
    return not (isinstance(fleet, LadderFleet) and all(rung.cloud in NOT_RENTED for rung in fleet.candidates))


def _refuse_millions(case: Case) -> None:
    """A volume that no fleet is worth, and a million times as large is of the fleet's own size, is in another unit.

    Not asked of a measured volume, nor where a baseline is: a repair goes through at any volume.
    """
    stairs, volume = case.stairs, case.volume
    if stairs.fixed / UNIT_SLIP <= stairs.managed(volume * 10**6) <= stairs.fixed * UNIT_SLIP:
        given, cost = f"{case.scenario.workload.tokens_per_month:f}", money(stairs.managed(volume))
        raise ScenarioError(
            [
                f"workload.tokensPerMonth: {given} tokens a month cost {cost} managed, and the fleet "
                f"{money(stairs.fixed)}; did you give millions? Then write {given}e6"
            ]
        )


def _adjust(reason: Reason, baseline: Baseline | None, case: Case | None, soft: bool) -> Reason:
    """Repair is never blocked; what bills nothing is not blocked for old data."""
    if reason.level is not Level.BLOCK:
        return reason
    if soft and RULES[reason.code].only_for_bills:
        return replace(reason, level=Level.WARN, message=f"{reason.message} It would block what bills money.")
    if baseline is None or case is None or not RULES[reason.code].repair_goes_through:
        return reason
    approved = f"{wording.count(baseline.nodes, 'node')}, {wording.usd(baseline.usd_per_month)}/month"
    fixed = case.stairs.fixed
    if reasons.exceeds(baseline, case.stairs.nodes, fixed):
        asked = f"{wording.count(case.stairs.nodes, 'node')}, {money(fixed)}/month"
        return replace(reason, message=f"{reason.message} Growth beyond the baseline of {approved} to {asked}.")
    by = f"approved by {baseline.approved_by} on {baseline.date}"
    return replace(
        reason,
        level=Level.WARN,
        message=f"{reason.message} Repair within the baseline of {approved}, {by}: not blocked.",
    )


def _merged(judged: list[_Judged]) -> tuple[Reason, ...]:
    """Each code once, at its worst over the rungs, told of the worst rung that has it so."""
    found: dict[str, Reason] = {}
    for one in sorted(judged, key=lambda one: one.badness, reverse=True):
        for reason in one.reasons:
            known = found.get(reason.code)
            if known is None or reason.level.rank > known.level.rank:
                of_one = len(judged) > 1 and RULES[reason.code].of_one_rung
                message = f"with every node on {one.rung.name}: {reason.message}" if of_one else reason.message
                found[reason.code] = replace(reason, message=message)
    order = list(RULES)
    return tuple(sorted(found.values(), key=lambda reason: order.index(reason.code)))


def _verdict(
    scenario: Scenario,
    managed: ManagedPrice,
    main: _Judged,
    dearest: _Judged,
    told: tuple[Reason, ...],
    notes_told: tuple[str, ...],
    given: dict[str, Input],
) -> Verdict:
    """The figures of the main rung, the reasons of all."""
    case, price = main.case, managed.usd_per_million
    spend = None if price is None else scenario.workload.displaced_tokens_per_month * price / 10**6
    level = worst(reason.level for reason in told)
    return Verdict(
        level=level,
        headline=_headline(scenario, case, spend),
        reasons=told,
        notes=notes_told,
        fixed_usd_per_month=to_decimal(case.stairs.fixed) if case else None,
        dearest_usd_per_month=to_decimal(_fixed(dearest)) if dearest.case else None,
        self_hosted_usd_per_month=to_decimal(case.stairs.cost(case.volume)) if case else None,
        managed_usd_per_month=spend,
        managed_usd_per_million=price,
        break_even=main.break_even,
        capacity=_capacity(case, main.rung),
        tco=_tco(scenario, case),
        recommendation=recommend(scenario, spend, level),
        inputs=given,
        case=case,
    )


def _headline(scenario: Scenario, case: Case | None, spend: Decimal | None) -> str:
    if case is not None:
        gap = case.stairs.managed(case.volume) - case.stairs.cost(case.volume)
        told = f"{money(abs(gap))}/month {'saved' if gap >= 0 else 'too much'}"
        return f"{case.subject()}: {told}. {reasons.break_even_words(case)}"
    if spend is None:
        return f"What {displaced_words(scenario)} cost at the managed models is not known."
    bill = f"{wording.usd(spend)}/month managed"
    return f"{displaced_words(scenario)} cost {bill}; what self-hosting costs is not known."


def _break_even(case: Case | None) -> BreakEven:
    if case is None:
        return BreakEven(None, None, None)
    stairs, drawn = case.stairs, montecarlo.simulate(case)
    first, stable = (None if volume is None else to_decimal(volume) for volume in (stairs.first, stairs.stable))
    return BreakEven(to_decimal(stairs.simple), first, stable, drawn.p10, drawn.p50, drawn.p90, drawn.probability)


def _capacity(case: Case | None, rung: Rung) -> Capacity:
    if case is None:
        return Capacity(rung.tokens_per_second, None, None, None)
    return Capacity(
        tokens_per_second_per_node=case.tokens_per_second,
        nodes_needed=case.stairs.nodes_at(case.volume),
        survives_one_loss=reasons.survives_one_loss(case),
        utilisation=to_decimal(utilisation(case.volume, case.stairs.nodes, case.tokens_per_second)),
    )


def _tco(scenario: Scenario, case: Case | None) -> Tco:
    months = scenario.horizon.months
    if case is None:
        return Tco(months, None, None, None)
    found = project(case)
    meet = None if found.crossover_month is None else to_decimal(found.crossover_month)
    return Tco(months, to_decimal(found.self_hosted_usd), to_decimal(found.managed_usd), meet)


def recommend(scenario: Scenario, managed_usd_per_month: Decimal | None, level: Level) -> str:
    """self-host, managed, optimise-routing or hybrid; never changes the verdict. The spend is what is displaced.

    While the spend is unknown, nothing speaks for leaving the managed API.
    """
    constraints = scenario.constraints
    if constraints.residency or constraints.fine_tuned:
        return "self-host"
    if managed_usd_per_month is None or managed_usd_per_month < MANAGED_BELOW_USD:
        return "managed"
    if managed_usd_per_month <= OPTIMISE_TO_USD:
        return "optimise-routing"
    return "self-host" if level is Level.PASS and constraints.ml_team else "hybrid"
