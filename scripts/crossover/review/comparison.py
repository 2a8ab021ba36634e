"""Previous, new, difference: the figures of two verdicts side by side, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cost_guard import wording
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.stack.verdict import Side

UNKNOWN = "not known"
NONE_EXISTS = "none"
SELF_HOSTED = "Self-hosted, USD per month"
WORST_CASE = "… and what the gateway may spend at managed APIs besides, USD per month"
VOLUME = "Projected volume, tokens per month"
BREAK_EVEN = "Break-even for good, tokens per month"
QUANTILES = {"p10": "1 in 10 draws lies below", "p50": "half the draws lie below", "p90": "9 in 10 draws lie below"}
Words = Callable[[Decimal], str]


@dataclass(frozen=True)
class Figure:
    """One figure. `previous` and `difference` are empty where nothing is compared."""

    name: str
    previous: str
    new: str
    difference: str


def rows(head: Side, base: Side | None) -> list[Figure]:
    """The table of a reviewer. Both sides may lack a verdict, or single figures."""
    new, compared = dict(_figures(head)), base is not None and base.verdict is not None
    before = dict(_figures(base)) if base is not None and compared else {}
    found = []
    if not any(_spends_besides(side) for side in (head, base)):
        new.pop(WORST_CASE, None)
    for name, (value, words, missing) in new.items():
        if not compared:
            found.append(Figure(name, "", _shown(value, words, missing), ""))
            continue
        previous, _, absent = before.get(name, (None, words, UNKNOWN))
        difference = _difference(previous, value, words)
        found.append(Figure(name, _shown(previous, words, absent), _shown(value, words, missing), difference))
    if head.verdict is not None and head.scenario is not None:
        names = [row.name for row in found]
        found.insert(names.index(VOLUME) + 1, _source_row(head, base if compared else None))
    return found


def self_hosted_usd_per_million(side: Side) -> Decimal | None:
    """What a million tokens cost at the projected volume, of all models together."""
    return None if side.verdict is None else _per_million(side, side.verdict.self_hosted_usd_per_month)


def displaced_tokens_per_month(side: Side) -> Decimal:
    """Of all models together."""
    return sum((one.scenario.displaced_tokens_per_month for one in side.proposals.values()), Decimal(0))


def node_count(side: Side) -> int:
    """Nodes that are configured, of all models."""
    return sum(one.scenario.fleet.node_count for one in side.proposals.values())


def nodes_needed(side: Side) -> int | None:
    """Those that are reckoned with, of all models; None where that is not known."""
    models = () if side.verdict is None else side.verdict.models or (side.verdict,)
    each = [one.capacity.nodes_needed for one in models]
    configured = [one.scenario.fleet.node_count for one in side.proposals.values()]
    if not each or None in each or len(each) != len(configured):
        return None
    return sum(max(needed or 0, given) for needed, given in zip(each, configured, strict=True))


def break_even(side: Side) -> dict[str, Any]:
    """The document's break-even, with p10, p50 and p90: null where they were not computed or there is none."""
    found: dict[str, Any] = side.verdict.to_json_dict()["breakEven"] if side.verdict else {}
    return found


def _figures(side: Side) -> Iterator[tuple[str, tuple[Decimal | None, Words, str]]]:
    verdict = side.verdict
    if verdict is None or not side.proposals:
        return
    nodes, needed = node_count(side), nodes_needed(side)
    yield "Nodes", (Decimal(nodes), _plain, UNKNOWN)
    if needed is not None and needed > nodes:
        yield "… that the volume needs, which are reckoned with", (Decimal(needed), _plain, UNKNOWN)
    yield SELF_HOSTED, (verdict.self_hosted_usd_per_month, wording.usd, UNKNOWN)
    yield WORST_CASE, (verdict.worst_case_usd_per_month, wording.usd, UNKNOWN)
    yield "Managed for the same tokens, USD per month", (verdict.managed_usd_per_month, wording.usd, UNKNOWN)
    yield "Saved by self-hosting, USD per month", (saved_usd_per_month(side), _saved, UNKNOWN)
    yield "Self-hosted, USD per M tokens", (self_hosted_usd_per_million(side), wording.usd, UNKNOWN)
    yield "Managed, USD per M tokens", (_per_million(side, verdict.managed_usd_per_month), wording.usd, UNKNOWN)
    tokens = sum((one.scenario.workload.tokens_per_month for one in side.proposals.values()), Decimal(0))
    yield VOLUME, (tokens, wording.tokens, UNKNOWN)
    if (served := displaced_tokens_per_month(side)) != tokens:
        yield "… of which self-hosting serves", (served, wording.tokens, UNKNOWN)
    if not verdict.models:
        yield from _break_even_figures(side, verdict)


def _spends_besides(side: Side | None) -> bool:
    """Whether its gateway may spend something at managed APIs."""
    return side is not None and any(one.gateway.managed_budget_usd_per_month for one in side.proposals.values())


def _per_million(side: Side, usd_per_month: Decimal | None) -> Decimal | None:
    return None if usd_per_month is None else usd_per_month / displaced_tokens_per_month(side) * 10**6


def _break_even_figures(side: Side, verdict: Verdict) -> Iterator[tuple[str, tuple[Decimal | None, Words, str]]]:
    exists = NONE_EXISTS if verdict.self_hosted_usd_per_month is not None else UNKNOWN
    yield BREAK_EVEN, (verdict.break_even.stable, wording.tokens_from, exists)
    volumes = break_even(side)
    if volumes.get("probability") is None:
        return
    for name, meaning in QUANTILES.items():
        value = volumes.get(name)
        figure = (None if value is None else Decimal(str(value)), wording.tokens, exists)
        yield f"Break-even {name.upper()}: {meaning}", figure
    yield "Probability that it pays for good", (Decimal(str(volumes["probability"])), wording.percent, UNKNOWN)


def saved_usd_per_month(side: Side) -> Decimal | None:
    """Against the managed API; negative is lost. None where a price is not known."""
    found = side.verdict
    if found is None or found.self_hosted_usd_per_month is None or found.managed_usd_per_month is None:
        return None
    return found.managed_usd_per_month - found.self_hosted_usd_per_month


def _source_row(head: Side, base: Side | None) -> Figure:
    new, previous = _source(head), "" if base is None else _source(base)
    return Figure("… its source", previous, new, "" if base is None else ("same" if previous == new else "changed"))


def _source(side: Side) -> str:
    """Where the volume comes from, with its date: "asserted", or "measured (2026-11-01)"."""
    if side.verdict is None or side.scenario is None:
        return ""
    volume = side.verdict.inputs.get("tokensPerMonth")
    source = volume.source.removeprefix("scenario, ") if volume else str(side.scenario.workload.kind)
    return f"{source} ({volume.date})" if volume and volume.date else source


def _plain(value: Decimal) -> str:
    return f"{value:,f}"


def _saved(value: Decimal) -> str:
    """Money that may be lost: a share of it would say nothing."""
    return wording.usd(value)


def _shown(value: Decimal | None, words: Words, missing: str) -> str:
    return missing if value is None else words(value)


def _difference(before: Decimal | None, after: Decimal | None, words: Words) -> str:
    if before is None or after is None:
        return "none" if before is after else "not comparable"
    change = after - before
    if change == 0:
        return "0"
    sign = "+" if change > 0 else "-"
    if words is wording.percent:
        # Of what is shown, so that the row adds up.
        return f"{sign}{abs(round(after * 100, 1) - round(before * 100, 1)):f} points"
    text = f"{sign}{words(abs(change))}"
    if words in (_plain, _saved) or before == 0:
        return text
    return f"{text} ({'+' if change > 0 else ''}{wording.percent(change / before)})"
