"""Previous, new, difference: the figures of two verdicts side by side, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cost_guard import wording

from scripts.crossover.preview.evaluation import Side

UNKNOWN = "not known"
NONE_EXISTS = "none"
Words = Callable[[Decimal], str]


@dataclass(frozen=True)
class Row:
    """One figure. `previous` and `difference` are empty where nothing is compared."""

    name: str
    previous: str
    new: str
    difference: str


def rows(head: Side, base: Side | None) -> list[Row]:
    """The table of a reviewer. Both sides may lack a verdict, or single figures."""
    before = dict(_figures(base)) if base is not None and base.verdict is not None else {}
    return [
        Row(
            name,
            _shown(*before[name]) if before else "",
            _shown(value, words, missing),
            _difference(before[name][0], value, words) if before else "",
        )
        for name, (value, words, missing) in _figures(head)
    ] + list(_words_only(head, base, bool(before)))


def self_hosted_usd_per_million(side: Side) -> Decimal | None:
    """What a million tokens cost at the projected volume."""
    if side.verdict is None or side.scenario is None or side.verdict.self_hosted_usd_per_month is None:
        return None
    return side.verdict.self_hosted_usd_per_month / side.scenario.workload.displaced_tokens_per_month * 10**6


def break_even(side: Side) -> dict[str, Any]:
    """The document's break-even, with p10, p50 and p90: null where they were not computed or there is none."""
    found: dict[str, Any] = side.verdict.to_json_dict()["breakEven"] if side.verdict else {}
    return found


def _figures(side: Side) -> Iterator[tuple[str, tuple[Decimal | None, Words, str]]]:
    verdict, scenario = side.verdict, side.scenario
    if verdict is None or scenario is None:
        return
    volumes = break_even(side)
    yield "Nodes", (Decimal(scenario.fleet.node_count), _plain, UNKNOWN)
    yield "Self-hosted, USD per month", (verdict.self_hosted_usd_per_month, wording.usd, UNKNOWN)
    yield "Managed for the same tokens, USD per month", (verdict.managed_usd_per_month, wording.usd, UNKNOWN)
    yield "Self-hosted, USD per M tokens", (self_hosted_usd_per_million(side), wording.usd, UNKNOWN)
    yield "Managed, USD per M tokens", (verdict.managed_usd_per_million, wording.usd, UNKNOWN)
    exists = NONE_EXISTS if verdict.self_hosted_usd_per_month is not None else UNKNOWN
    yield "Break-even for good, tokens per month", (verdict.break_even.stable, wording.tokens, exists)
    computed = volumes.get("probability") is not None
    for name in ("p10", "p50", "p90") if computed else ():
        value = volumes.get(name)
        yield f"Break-even {name.upper()}", (None if value is None else Decimal(str(value)), wording.tokens, exists)
    if computed:
        yield "Probability that it pays", (Decimal(str(volumes["probability"])), wording.percent, UNKNOWN)
    yield "Projected volume, tokens per month", (scenario.workload.tokens_per_month, wording.tokens, UNKNOWN)


def _words_only(head: Side, base: Side | None, compared: bool) -> Iterator[Row]:
    if head.verdict is None:
        return
    new = _source(head)
    previous = _source(base) if base is not None and compared else ""
    yield Row("… its source", previous, new, "" if not compared else ("same" if previous == new else "changed"))


def _source(side: Side) -> str:
    """Where the volume comes from, with its date: "asserted", or "measured (2026-11-01)"."""
    if side.verdict is None or side.scenario is None:
        return ""
    volume = side.verdict.inputs.get("tokensPerMonth")
    source = volume.source.removeprefix("scenario, ") if volume else str(side.scenario.workload.kind)
    return f"{source} ({volume.date})" if volume and volume.date else source


def _plain(value: Decimal) -> str:
    return f"{value:,f}"


def _shown(value: Decimal | None, words: Words, missing: str) -> str:
    return missing if value is None else words(value)


def _difference(before: Decimal | None, after: Decimal | None, words: Words) -> str:
    if before is None or after is None:
        return "none" if before is after else "not comparable"
    change = after - before
    if change == 0:
        return "0"
    text = f"{'+' if change > 0 else '-'}{words(abs(change))}"
    if words in (_plain, wording.percent) or before == 0:
        return text
    return f"{text} ({'+' if change > 0 else ''}{wording.percent(change / before)})"
