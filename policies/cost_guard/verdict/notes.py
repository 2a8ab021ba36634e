"""What a reader must know about a verdict's figures, whatever it is: where prices hold, what is owed, what would save
more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic import mix
from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.arithmetic.costing import Case, Rung
from cost_guard.catalogue.catalogue import Catalogue, Price
from cost_guard.scenario.fleet import Fleet
from cost_guard.scenario.scenario import Scenario
from cost_guard.units import HOURS_PER_MONTH
from cost_guard.verdict.words import money, volume_words


def notes(
    scenario: Scenario,
    catalogue: Catalogue,
    judged: Sequence[tuple[Rung, Case | None]],
    main: Case | None,
    dearest: Case | None,
) -> tuple[str, ...]:
    """Of every rung; then of `main`, whose figures are the verdict's, and of the one whose nodes cost most."""
    found: list[str] = []
    for rung, case in judged:
        found += _of_rung(scenario, catalogue, rung, case)
    if main is not None and dearest is not None:
        found += filter(None, [_dearest_note(main, dearest), _sunk_note(main), _hybrid_note(main)])
    return tuple(found)


def _of_rung(scenario: Scenario, catalogue: Catalogue, rung: Rung, case: Case | None) -> Iterator[str]:
    price, served = rung.price, rung.throughput
    if price is not None:
        terms = _terms_words(price, case.stairs.nodes if case else 1)
        yield f"Price of {price.key}: {catalogue.describe_price(price.key)}{terms and f'; it {terms}'}."
        yield from _of_candidates(scenario.fleet, price)
    if served is not None and served.kind == "illustrative":
        yield f"Throughput of {rung.name}: {wording.rate(served.tokens_per_second)}, illustrative."


def _of_candidates(fleet: Fleet, price: Price) -> Iterator[str]:
    """Where the catalogue's price and what the candidates ask for do not meet."""
    asked = [one for one in fleet.candidates if one.catalogue_key == price.key and one.stands_for is None]
    elsewhere = sorted({one.region for one in asked} - {price.region})
    if price.region and elsewhere:
        yield f"The price of {price.key} is that of {price.region}: it may be another in {', '.join(elsewhere)}."
    hourly = price.usd_per_month / HOURS_PER_MONTH
    if ceilings := [one.max_usd_per_hour for one in asked if one.max_usd_per_hour and one.max_usd_per_hour < hourly]:
        yield (
            f"A maxUsdPerHour of {wording.usd(min(ceilings))} is under the price of {price.key}, "
            f"{wording.usd(hourly)}/h: at that price it is passed over."
        )


def _dearest_note(main: Case, dearest: Case) -> str:
    if dearest.stairs.fixed <= main.stairs.fixed:
        return ""
    return (
        f"The figures are those of the rung with the worst verdict. On the dearest, nodes and overhead cost "
        f"{money(dearest.stairs.fixed)}/month: as much as a baseline, and a waiver's cap, must hold."
    )


def _sunk_note(case: Case) -> str:
    """What is owed whatever is decided, and the break-even of what is not."""
    owed = case.sunk
    if not owed.nodes:
        return ""
    rest = mix.against_unsunk(case.stairs, owed, case.terms).stable
    volume = "no volume pays for good" if rest is None else f"it pays for good from {volume_words(rest, wording.UP)}"
    nodes, months = wording.count(owed.nodes, "reserved node"), wording.count(owed.months_left, "more month")
    return (
        f"Committed: {nodes} for {months}, {money(owed.nodes * case.terms.usd_per_month)}/month whatever is served. "
        f"Against what is not yet sunk, {volume} tokens/month."
    )


def _hybrid_note(case: Case) -> str:
    """The part of the volume that is best displaced, where that is neither none nor what the scenario displaces."""
    total = Fraction(case.scenario.workload.tokens_per_month)
    best = mix.best_displaced(case.stairs, total)
    if best.volume in (0, case.volume):
        return ""
    share = wording.percent(to_decimal(best.volume / total))
    return (
        f"Hybrid: displacing {share} of {volume_words(total)} tokens/month ({volume_words(best.volume)}) saves most, "
        f"{money(best.saving)}/month against all of it managed."
    )


def _terms_words(price: Price, nodes: int) -> str:
    """What the terms make of a row's price, in words; empty where that is nothing."""
    month = wording.usd(mix.effective_usd_per_month(price))
    if price.terms == "spot":
        more = wording.count(mix.extra_spare_nodes(price, nodes), "spare node")
        return f"counts as {month}/month of service, and {more} more" if price.interruption_loss else ""
    return f"counts as {month}/month with what is paid up front" if price.upfront_usd else ""
