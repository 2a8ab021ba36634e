"""The figures of a verdict: of the rung that it speaks of, or None where its price or its throughput is not known."""

from __future__ import annotations

from decimal import Decimal

from cost_guard import wording
from cost_guard.arithmetic import montecarlo
from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.arithmetic.capacity import utilisation
from cost_guard.arithmetic.costing import Case, Rung
from cost_guard.arithmetic.horizon import project
from cost_guard.scenario.scenario import HORIZON_MONTHS, Scenario
from cost_guard.verdict.verdict import BreakEven, Capacity, Tco
from cost_guard.verdict.words import break_even_words, displaced_words, money, subject


def headline(scenario: Scenario, case: Case | None, spend: Decimal | None) -> str:
    """What it saves or costs too much, and where break-even is; `spend` is what is paid managed, USD per month."""
    if case is not None:
        gap = case.stairs.managed(case.volume) - case.stairs.cost(case.volume)
        told = f"{money(abs(gap))}/month {'saved' if gap >= 0 else 'too much'}"
        return f"{subject(case)}: {told}. {break_even_words(case)}"
    if spend is None:
        return f"What {displaced_words(scenario)} cost at the managed models is not known."
    bill = f"{wording.usd(spend)}/month managed"
    return f"{displaced_words(scenario)} cost {bill}; what self-hosting costs is not known."


def break_even(case: Case) -> BreakEven:
    """Volumes, exact and over the draws."""
    stairs, drawn = case.stairs, montecarlo.simulate(case)
    first, stable = (None if volume is None else to_decimal(volume) for volume in (stairs.first, stairs.stable))
    return BreakEven(to_decimal(stairs.simple), first, stable, drawn.p10, drawn.p50, drawn.p90, drawn.probability)


def capacity(case: Case | None, rung: Rung) -> Capacity:
    """What a node serves, and how many the volume needs."""
    if case is None:
        return Capacity(rung.tokens_per_second, None, None, None)
    stairs, volume = case.stairs, case.volume
    return Capacity(
        case.tokens_per_second,
        stairs.nodes_at(volume),
        case.survives_one_loss,
        to_decimal(utilisation(volume, stairs.nodes, case.tokens_per_second)),
    )


def tco(scenario: Scenario, case: Case | None) -> Tco:
    """Both sides over the horizon."""
    months = scenario.horizon.months or HORIZON_MONTHS
    if case is None:
        return Tco(months, None, None, None)
    found = project(case)
    meet = None if found.crossover_month is None else to_decimal(found.crossover_month)
    return Tco(months, to_decimal(found.self_hosted_usd), to_decimal(found.managed_usd), meet)
