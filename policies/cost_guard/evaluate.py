"""The gate: a scenario and the catalogue in, a verdict out. Pure: no clock, no file, no Pulumi."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from pydantic import BaseModel

from . import reasons, wording
from .breakeven import Staircase, to_decimal
from .capacity import tokens_per_node_month, utilisation
from .errors import ScenarioError
from .prices import Catalogue
from .reasons import Case, Rung
from .scenario import Baseline, LadderFleet, QuotationFleet, Scenario, SkuFleet
from .usage import Usage
from .verdict import RULES, BreakEven, Capacity, Input, Level, Reason, Verdict, worst

BILLS_NOTHING = frozenset({"local", "existing"})
"""Clouds whose machines are not rented, so that no bill depends on an old price or a guessed volume."""

REPAIR_GOES_THROUGH = frozenset({"break-even", "volume-measured", "price-fresh"})
"""What a baseline that is not exceeded turns from BLOCK into WARN."""

ADVISORY_WITHOUT_BILL = frozenset({"volume-measured", "price-fresh"})

MANAGED_BELOW_USD, OPTIMISE_TO_USD = Decimal(20_000), Decimal(80_000)
"""The article's thresholds of managed spend a month."""


@dataclass(frozen=True)
class _Judged:
    """One rung's outcome; `case` is None where a price or throughput is unknown."""

    rung: Rung
    case: Case | None
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
    fleet_since: date | None = None,
    volume_date: date | None = None,
    usage: Usage | None = None,
) -> Verdict:
    """The verdict on a deployment.

    `baseline` is what was approved and runs: a deployment within it is repair. `bills_money=False` makes price-fresh
    and volume-measured advisory; by default it is read from the candidates' clouds. `fleet_since` is when the fleet
    began to run, by default the baseline's date; `volume_date` is when the volume was measured, None where nothing
    says. `usage` is the usage file: its numbers are the scenario's, and its last day is the volume's. Raises
    ScenarioError where the scenario names a usage file and none is given.
    """
    if usage is not None:
        scenario, volume_date = scenario.with_usage(usage), usage.to
    elif scenario.workload.usage is not None:
        raise ScenarioError([f"workload.usage: {scenario.workload.usage} was not read"])
    soft = not (bills_money if bills_money is not None else _bills_money(scenario))
    since = fleet_since or (baseline.date if baseline else None)
    work = scenario.workload
    common = [reasons.redundancy(scenario), reasons.volume_measured(work.kind, today, since, volume_date)]
    judged = []
    for rung in _rungs(scenario, catalogue):
        case = _case(scenario, rung)
        found = [*common, reasons.price_known(rung), reasons.price_fresh(rung.price, today)]
        if case is not None:
            found += [reasons.break_even(case), reasons.capacity(case), reasons.budget(case)]
        adjusted = tuple(_adjust(reason, baseline, case, soft) for reason in found if reason is not None)
        judged.append(_Judged(rung, case, adjusted))
    verdict = _verdict(scenario, catalogue, judged, today, baseline)
    return verdict if usage is None else replace(verdict, inputs={**verdict.inputs, **_measured(usage)})


def _bills_money(scenario: Scenario) -> bool:
    fleet = scenario.fleet
    return not (isinstance(fleet, LadderFleet) and all(rung.cloud in BILLS_NOTHING for rung in fleet.candidates))


def _rungs(scenario: Scenario, catalogue: Catalogue) -> list[Rung]:
    fleet = scenario.fleet
    if isinstance(fleet, QuotationFleet):
        return [Rung("", fleet.usd_per_node_month, fleet.tokens_per_second)]
    if isinstance(fleet, SkuFleet):
        return [_rung(fleet.sku, catalogue)]
    nameless = {rung.catalogue_key for rung in fleet.candidates if rung.cloud == "local" and rung.stands_for is None}
    return [_rung(key, catalogue, key in nameless) for key in dict.fromkeys(r.catalogue_key for r in fleet.candidates)]


def _rung(key: str, catalogue: Catalogue, stands_for_nothing: bool = False) -> Rung:
    price, throughput = catalogue.prices.get(key), catalogue.throughputs.get(key)
    unknown = ""
    if price is None and stands_for_nothing:
        unknown = f"{key} has no price of its own; name in standsFor the SKU whose price and throughput count for it."
    elif price is None:
        near = catalogue.nearest(key)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(catalogue.prices))}."
        unknown = f"no price is known for {key}; {hint}"
    elif throughput is None:
        unknown = f"no throughput is known for {key}; measure it and add a row to the pack's data/throughput.toml."
    return Rung(
        key,
        price.usd_per_month if price else None,
        throughput.tokens_per_second if throughput else None,
        price,
        throughput,
        unknown,
    )


def _case(scenario: Scenario, rung: Rung) -> Case | None:
    if rung.usd_per_node_month is None or rung.tokens_per_second is None:
        return None
    fleet, work, overhead = scenario.fleet, scenario.workload, scenario.overhead
    stairs = Staircase(
        nodes=fleet.node_count,
        spare=fleet.spare_nodes,
        usd_per_node=rung.usd_per_node_month,
        overhead=Fraction(overhead.stated_usd_per_month) / (1 - Fraction(overhead.understated_by)),
        usd_per_million=scenario.managed.usd_per_million_tokens,
        per=tokens_per_node_month(rung.tokens_per_second, fleet.target_utilisation, work.peak_to_mean),
    )
    return Case(scenario, stairs, rung.tokens_per_second, Fraction(work.displaced_tokens_per_month))


def _adjust(reason: Reason, baseline: Baseline | None, case: Case | None, soft: bool) -> Reason:
    """Repair is never blocked; what bills nothing is not blocked for old data."""
    if reason.level is not Level.BLOCK:
        return reason
    if soft and reason.code in ADVISORY_WITHOUT_BILL:
        return replace(reason, level=Level.WARN, message=f"{reason.message} It would block what bills money.")
    if baseline is None or case is None or reason.code not in REPAIR_GOES_THROUGH:
        return reason
    approved = f"{wording.count(baseline.nodes, 'node')}, {wording.usd(baseline.usd_per_month)}/month"
    fixed = case.stairs.fixed
    if reasons.exceeds(baseline, case.stairs.nodes, fixed):
        asked = f"{wording.count(case.stairs.nodes, 'node')}, {reasons.money(fixed)}/month"
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
                alone = len(judged) == 1 or reason.code in (
                    "redundancy",
                    "volume-measured",
                    "price-known",
                    "price-fresh",
                )
                message = reason.message if alone else f"with every node on {one.rung.name}: {reason.message}"
                found[reason.code] = replace(reason, message=message)
    order = list(RULES)
    return tuple(sorted(found.values(), key=lambda reason: order.index(reason.code)))


def _verdict(
    scenario: Scenario, catalogue: Catalogue, judged: list[_Judged], today: date, baseline: Baseline | None
) -> Verdict:
    told = _merged(judged)
    level = worst(reason.level for reason in told)
    priced = [one for one in judged if one.case is not None]
    main = max(priced, key=lambda one: one.badness) if priced else judged[0]
    managed = scenario.workload.displaced_tokens_per_month * scenario.managed.usd_per_million_tokens / 10**6
    case = main.case
    return Verdict(
        level=level,
        headline=_headline(scenario, case, managed),
        reasons=told,
        notes=_notes(catalogue, judged),
        fixed_usd_per_month=to_decimal(case.stairs.fixed) if case else None,
        self_hosted_usd_per_month=to_decimal(case.stairs.cost(case.volume)) if case else None,
        managed_usd_per_month=managed,
        managed_usd_per_million=scenario.managed.usd_per_million_tokens,
        break_even=_break_even(case),
        capacity=_capacity(case, main.rung),
        recommendation=recommend(scenario, managed, level),
        inputs=_inputs(scenario, main.rung, today, baseline),
    )


def _headline(scenario: Scenario, case: Case | None, managed: Decimal) -> str:
    if case is None:
        bill = f"{wording.usd(managed)}/month managed"
        return f"{reasons.displaced_words(scenario)} cost {bill}; what self-hosting costs is not known."
    gap = case.stairs.managed(case.volume) - case.stairs.cost(case.volume)
    told = f"{reasons.money(abs(gap))}/month {'saved' if gap >= 0 else 'too much'}"
    return f"{case.subject()}: {told}. {reasons.break_even_words(case)}"


def _notes(catalogue: Catalogue, judged: list[_Judged]) -> tuple[str, ...]:
    notes = []
    for one in judged:
        if one.rung.price is not None:
            notes.append(f"Price of {one.rung.name}: {catalogue.describe_price(one.rung.name)}.")
        served = one.rung.throughput
        if served is not None and served.kind == "illustrative":
            notes.append(f"Throughput of {one.rung.name}: {wording.rate(served.tokens_per_second)}, illustrative.")
    return tuple(notes)


def _break_even(case: Case | None) -> BreakEven:
    if case is None:
        return BreakEven(None, None, None)
    first, stable = case.stairs.first, case.stairs.stable
    return BreakEven(
        simple=to_decimal(case.stairs.simple),
        first=to_decimal(first) if first is not None else None,
        stable=to_decimal(stable) if stable is not None else None,
    )


def _capacity(case: Case | None, rung: Rung) -> Capacity:
    if case is None:
        return Capacity(rung.tokens_per_second, None, None, None)
    return Capacity(
        tokens_per_second_per_node=case.tokens_per_second,
        nodes_needed=case.stairs.nodes_at(case.volume),
        survives_one_loss=reasons.survives_one_loss(case),
        utilisation=to_decimal(utilisation(case.volume, case.stairs.nodes, case.tokens_per_second)),
    )


def recommend(scenario: Scenario, managed_usd_per_month: Decimal, level: Level) -> str:
    """self-host, managed, optimise-routing or hybrid; never changes the verdict. The spend is what is displaced."""
    constraints = scenario.constraints
    if constraints.residency or constraints.fine_tuned:
        return "self-host"
    if managed_usd_per_month < MANAGED_BELOW_USD:
        return "managed"
    if managed_usd_per_month <= OPTIMISE_TO_USD:
        return "optimise-routing"
    return "self-host" if level is Level.PASS and constraints.ml_team else "hybrid"


def _inputs(scenario: Scenario, rung: Rung, today: date, baseline: Baseline | None) -> dict[str, Input]:
    """Every number that went in, by its key in the scenario."""
    work, fleet, overhead = scenario.workload, scenario.fleet, scenario.overhead
    volume = Input(work.tokens_per_month, f"scenario, {work.kind}")
    found = {"tokensPerMonth": volume, "today": Input(today.isoformat(), "the day of the evaluation", today)}
    found["usdPerMillionTokens"] = Input(scenario.managed.usd_per_million_tokens, "scenario")
    found["nodes"] = Input(fleet.node_count, "scenario")
    if rung.price is not None:
        found["usdPerNodeMonth"] = Input(rung.usd_per_node_month, _cited(rung.price), rung.price.date)
    else:
        found["usdPerNodeMonth"] = Input(rung.usd_per_node_month, "unknown" if rung.name else "scenario")
    if rung.throughput is not None:
        found["tokensPerSecond"] = Input(rung.tokens_per_second, _cited(rung.throughput), rung.throughput.date)
    else:
        found["tokensPerSecond"] = Input(rung.tokens_per_second, "unknown" if rung.name else "scenario")
    for section, names in (
        (work, ("displaced_share", "peak_to_mean")),
        (fleet, ("target_utilisation", "spare_nodes", "max_per_failure_domain")),
        (overhead, tuple(type(overhead).model_fields)),
    ):
        for name in names:
            found[_alias(section, name)] = Input(getattr(section, name), _given(section, name))
    if baseline is not None:
        found["baselineNodes"] = Input(baseline.nodes, f"baseline, {baseline.approved_by}", baseline.date)
        found["baselineUsdPerMonth"] = Input(baseline.usd_per_month, f"baseline, {baseline.approved_by}", baseline.date)
    return found


def _measured(usage: Usage) -> dict[str, Input]:
    """The inputs that the usage file gave."""
    names = ("tokens_per_month", "peak_to_mean")
    return {_alias(usage, name): Input(getattr(usage, name), f"usage, {usage.describe()}", usage.to) for name in names}


def _alias(section: BaseModel, name: str) -> str:
    return type(section).model_fields[name].alias or name


def _given(section: BaseModel, name: str) -> str:
    return "scenario" if name in section.model_fields_set else "default"


def _cited(row: object) -> str:
    kind, key, source, note = (getattr(row, name) for name in ("kind", "key", "source", "note"))
    return f"{key}, {kind}: {source}" + (f" ({note})" if note else "")
