"""The numbers of a usage file: as a table, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from cost_guard import wording
from cost_guard.scenario.growth import LEAST_WEEKS
from cost_guard.scenario.usage import MeasuredGrowth, Usage
from scripts.crossover.shell.output import console, emit_json, table
from scripts.crossover.usage.file import PEAKS


def show(usage: Usage, notes: Sequence[str], as_json: bool) -> None:
    """Shows a usage and what is to be said of it."""
    low, high = usage.band
    if as_json:
        emit_json({**usage.to_inputs(), "p10": int(low), "p90": int(high), "notes": list(notes)})
        return
    shown = table("", "")
    shown.show_header = False
    for name, value in _figures(usage).items():
        shown.add_row(name, Text(value))
    out = console()
    out.print(shown)
    for note in notes:
        out.print(Text(f"\n{note}"))


def _figures(usage: Usage) -> dict[str, str]:
    low, high = usage.band
    day = usage.per_day
    missing = f", {len(usage.gaps)} missing" if usage.gaps else ""
    given, cached = wording.percent(usage.input_share), wording.percent(usage.cached_share)
    return {
        "volume": f"{wording.tokens(usage.tokens_per_month)} tokens/month, {usage.kind}",
        "band": f"{wording.tokens(low)} to {wording.tokens(high)} (P10 to P90), sigma {usage.volume_sigma:f}",
        "days": f"{usage.from_} to {usage.to}: {usage.days} full days{missing}",
        "a day": f"{wording.tokens(day.least)} to {wording.tokens(day.most)}, median {wording.tokens(day.median)}",
        "input": f"{given} of the tokens, {cached} of it cached",
        "peak to mean": f"{usage.peak_to_mean:f} ({PEAKS[usage.peak_basis]})",
        "counted": ", ".join(usage.counted),
        "left out": ", ".join(f"{name} {wording.tokens(n)}/month" for name, n in usage.left_out.items()) or "nothing",
        "growth": _growth(usage.growth),
        "imported": f"{usage.imported_at}",
        "from": "\n".join(f"{s.name} ({s.format}, {wording.count(s.records, 'record')})" for s in usage.sources),
    }


def _growth(growth: MeasuredGrowth | None) -> str:
    if growth is None:
        return f"not told: fewer than {LEAST_WEEKS} full weeks"
    per_month, low, high = (wording.percent(share) for share in (growth.per_month, growth.low, growth.high))
    return f"{per_month} a month ({low} to {high}, P10 to P90), of {growth.weeks} weeks; not counted"
