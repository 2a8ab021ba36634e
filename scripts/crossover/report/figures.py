"""The figures of a verdict in the terminal: name and value, each told once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from cost_guard import wording
from cost_guard.verdict.figures import TcoFigures
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.course import Course
from scripts.crossover.report.words import dollars, month_usd, volume


def figures(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Name and value; a line with a name that begins with a space belongs to the one above."""
    yield "self-hosted", _self_hosted(verdict)
    price = verdict.managed_usd_per_million
    yield (
        "managed",
        month_usd(verdict.managed_usd_per_month) + ("" if price is None else f" at {wording.per_million(price)}"),
    )
    if verdict.same_weights is not None:
        yield "same weights", _same_weights(verdict)
    found = verdict.break_even
    simple, first, stable = (volume(one) for one in (found.simple, found.first, found.stable))
    shown = verdict.shown
    if shown is not None:
        yield "break-even", f"simple {simple}, first {first}, stable {stable} tokens/month"
        yield "  uncertain", _uncertain(verdict)
    if not verdict.models:
        yield "capacity", _capacity(verdict)
    if shown is not None:
        yield f"{wording.count(verdict.tco.months, 'month')}", _tco(verdict.tco, shown)
    if verdict.options:
        yield "recommendation", verdict.recommendation or "none of the options is allowed"
    if verdict.sources_say:
        yield "sources", verdict.sources_say


def _self_hosted(verdict: Verdict) -> str:
    text = month_usd(verdict.self_hosted_usd_per_month)
    worst = verdict.worst_case_usd_per_month
    more = (
        f"; at worst {month_usd(worst)}, with the gateway's managed budget"
        if worst != verdict.self_hosted_usd_per_month
        else ""
    )
    if verdict.shown is None:
        return f"{text}{more}"
    reading = verdict.shown.reading
    needed, given = reading.nodes_needed, len(reading.nodes)
    if needed == given:
        return f"{text} with {wording.count(needed, 'node')}{more}"
    as_given = f"{month_usd(verdict.fixed_usd_per_month)} with the {given:,} given"
    return f"{text} with the {needed:,} nodes that it needs ({as_given}){more}"


def _uncertain(verdict: Verdict) -> str:
    found = verdict.break_even
    quantiles = (("P10", found.p10), ("P50", found.p50), ("P90", found.p90))
    told = ", ".join(f"{name} {volume(None if at is None else Decimal(at))}" for name, at in quantiles)
    pays, good, horizon = (
        wording.percent(Decimal(share or 0))
        for share in (found.probability_pays, found.probability, found.probability_horizon)
    )
    return f"stable {told}; it pays in {pays} of the draws, for good in {good}, over the horizon in {horizon}"


def _capacity(verdict: Verdict) -> str:
    found = verdict.capacity
    if verdict.shown is None or found.nodes_needed is None or found.tokens_per_second_per_node is None:
        return "unknown"
    survives = "survives" if found.survives_one_loss else "does not survive"
    busy = wording.percent(found.utilisation or Decimal(0))
    return (
        f"{found.nodes_needed:,} needed of {wording.count(len(verdict.shown.reading.nodes), 'node')} at "
        f"{wording.rate(found.tokens_per_second_per_node)} each, {busy} busy on average; {survives} the loss of one"
    )


def _tco(tco: TcoFigures, shown: Judged) -> str:
    if tco.self_hosted_usd is None or tco.managed_usd is None:
        return "unknown"
    gap, course = tco.managed_usd - tco.self_hosted_usd, Course.of(shown)
    told = f"{dollars(abs(gap))} {'saved' if gap >= 0 else 'too much'}"
    rate = shown.horizon.discount_rate_per_year
    npv = f" (net present values at {wording.percent(rate)} a year; {course.drawn})" if rate else ""
    both = f"self-hosted {dollars(tco.self_hosted_usd)}, managed {dollars(tco.managed_usd)}: {told}{npv}"
    return f"{both}; {course.ahead}; {course.start}"


def _same_weights(verdict: Verdict) -> str:
    same = verdict.same_weights
    assert same is not None
    return f"{month_usd(same.usd_per_month)} at {wording.per_million(same.usd_per_million)}: {same.model}"
