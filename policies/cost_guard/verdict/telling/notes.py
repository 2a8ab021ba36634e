"""What a reader must know about a verdict's figures, whatever it is: where prices hold, what is owed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from cost_guard import wording
from cost_guard.catalogue.prices import Price
from cost_guard.scenario.fleet import QuotationFleet
from cost_guard.units import HOURS_PER_MONTH
from cost_guard.verdict.facts.beside import told
from cost_guard.verdict.facts.rungs import RungFacts
from cost_guard.verdict.rule import Judged, Question
from cost_guard.verdict.words import QUOTATION, money


def notes(asked: Question, judged: Judged | None) -> tuple[str, ...]:
    """Of every rung; then of the reading whose figures are shown."""
    found: list[str] = []
    for rung in asked.facts.rungs.values():
        found += _of_rung(asked, rung)
    if asked.facts.managed.same_weights is None and asked.proposal.scenario.workload.model is not None:
        found.append(f"No API is known that serves the weights of {asked.proposal.scenario.workload.model}.")
    found += filter(None, [_given_price_note(asked), _resources_note(asked)])
    if _shape_counts_for_nothing(asked):
        found.append("With managed.usdPerMillionTokens, inputShare and cachedShare count for the nodes alone.")
    if judged is not None:
        found += filter(None, [_reading_note(asked, judged), _baseline_note(asked), _running_note(judged)])
    return tuple(found)


def _of_rung(asked: Question, rung: RungFacts) -> Iterator[str]:
    price, served = rung.price, rung.throughput
    if price is not None:
        terms = _terms_words(price)
        yield f"Price of {price.key}: {asked.catalogue.describe_price(price.key)}{terms and f'; {terms}'}."
        yield from _low_ceiling(asked, price)
    if served is not None and rung.node is not None:
        rate = wording.rate(wording.to_decimal(rung.node.tokens_per_second))
        yield f"Throughput at {rung.key}: {rate}, {served.kind} for {served.model} (sigma {served.sigma:f})."


def _low_ceiling(asked: Question, price: Price) -> Iterator[str]:
    """Where a candidate would be passed over at the catalogue's price."""
    candidates = [one for one in asked.proposal.scenario.fleet.candidates if one.catalogue_key == price.key]
    hourly = price.usd_per_month / HOURS_PER_MONTH
    ceilings = [one.max_usd_per_hour for one in candidates if one.stands_for is None and one.max_usd_per_hour]
    if low := [ceiling for ceiling in ceilings if ceiling < hourly]:
        yield (
            f"A maxUsdPerHour of {wording.usd(min(low))} is under the price of {price.key}, "
            f"{wording.usd(hourly)}/h: at that price it is passed over."
        )


def _terms_words(price: Price) -> str:
    """What the terms make of a row's price; empty where that is nothing."""
    if price.terms == "spot" and price.interruption_loss:
        return f"{wording.percent(price.interruption_loss)} of its nodes count as spares"
    if price.upfront_usd and price.commitment_months:
        month = price.usd_per_month + price.upfront_usd / price.commitment_months
        return f"it counts as {wording.usd(month)}/month with what is paid up front"
    return ""


def _shape_counts_for_nothing(asked: Question) -> bool:
    work, given = asked.proposal.scenario.workload, asked.proposal.scenario.managed
    said = {"input_share", "cached_share"} & work.model_fields_set
    return given.usd_per_million_tokens is not None and bool(said) and bool(work.cached_share)


def _given_price_note(asked: Question) -> str:
    """Of nodes whose price the scenario itself gives: no row, so no source and no day."""
    fleet = asked.proposal.scenario.fleet
    if not isinstance(fleet, QuotationFleet):
        return ""
    price = wording.usd(fleet.usd_per_node_month)
    free = " Nodes that cost nothing: say what they would cost elsewhere." if fleet.usd_per_node_month == 0 else ""
    return (
        f"fleet.usdPerNodeMonth, {price}, and tokensPerSecond are the scenario's own, without a source: nothing is set "
        f"against them.{free}"
    )


def _resources_note(asked: Question) -> str:
    """What is made besides nodes, and whether that or the scenario's own figure is in the cost."""
    found, assumed = asked.facts.resources, asked.proposal.scenario.overhead.storage_network_usd_per_month
    if not found.listed:
        return ""
    listed = f"Besides nodes, list prices come to {money(found.usd_per_month)}/month: {'; '.join(told(found.listed))}."
    return f"{listed} The scenario has {wording.usd(assumed)} for storage and network: the larger of the two counts."


def _reading_note(asked: Question, judged: Judged) -> str:
    """Which reading is shown, where there are several."""
    if len(asked.facts.readings) == 1:
        return ""
    reading = judged.reading
    return (
        f"The figures are those of the dearest reading of {len(asked.facts.readings)}: every node at its "
        f"{reading.name} rung, more of them at {reading.added.name or QUOTATION}."
    )


def _baseline_note(asked: Question) -> str:
    """What a baseline must hold, where the figures show another cost."""
    fixed, billed = asked.stack.fixed_usd_per_month, asked.stack.billed_usd_per_month
    if fixed is None or (len(asked.facts.readings) == 1 and fixed == billed):
        return ""
    held = (
        f"With every node at its dearest, nodes and overhead cost {money(fixed)}/month: a baseline must hold as much."
    )
    ceilings = f" With the ceilings of markets it is {money(billed)}/month." if billed and billed != fixed else ""
    return f"{held}{ceilings}"


def _running_note(judged: Judged) -> str:
    """What is owed whatever is decided."""
    running = judged.horizon.running
    if not running:
        return ""
    nodes = sum(one.nodes for one in running)
    usd = sum((one.nodes * one.usd_per_month for one in running), Fraction(0))
    longest = max(one.months_left for one in running)
    return (
        f"Committed: {wording.count(nodes, 'reserved node')} for up to {wording.count(longest, 'more month')}, "
        f"{money(usd)}/month whatever is served."
    )
