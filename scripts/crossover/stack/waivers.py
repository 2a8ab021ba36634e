"""What each waiver of the file is worth on a day: as a table, or as JSON."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cost_guard.pack.registry import codes
from cost_guard.scenario.sections.approval import Status
from cost_guard.scenario.waiver_file import load_waivers, read_waivers
from cost_guard.scenario.waivers import FILE, Waiver, Waivers
from images.sources import REPOSITORY
from scripts.crossover.shell.output import console, emit_json, evaluating, styled, table

File = Annotated[
    Path | None,
    typer.Option("--file", "-f", exists=True, dir_okay=False, readable=True, help=f"By default {FILE} at the root."),
]


def show(file: Path | None, today: date, as_json: bool, stack: str | None = None) -> None:
    """Those that cover a stack, or all; what expires first stands at the top. Exits 3 where the file cannot be used."""
    with evaluating(as_json):
        found = load_waivers(REPOSITORY, codes) if file is None else read_waivers(file, codes())
    chosen = sorted((w for w in found.entries if stack is None or w.covers_stack(stack)), key=lambda w: w.expires)
    if as_json:
        emit_json({"file": found.file, "waivers": [_document(found, waiver, today) for waiver in chosen]})
        return
    out = console()
    if not chosen:
        out.print("no waivers")
        return
    rows = table("status", "policy", "stack", "expires", "who, and why")
    for waiver in chosen:
        status = waiver.by_dates(today)
        rows.add_row(styled(status), waiver.policy, waiver.stack, _until(waiver, today), _why(waiver))
    out.print(rows)


def _until(waiver: Waiver, today: date) -> str:
    left = (waiver.expires - today).days
    return f"{waiver.expires}" + (f"\nin {left} days" if left >= 0 else f"\n{-left} days ago")


def _why(waiver: Waiver) -> Text:
    cap = waiver.cost_cap_usd_per_month
    text = Text(f"{waiver.reason.strip()} ({waiver.ticket})")
    text.append(f"\n{waiver.owner} mends it, {waiver.approver} allows it", style="dim")
    text.append("" if cap is None else f"; void above ${cap:,f}/month", style="dim")
    text.append("" if waiver.urn == "*" else f"\n{waiver.urn}", style="dim")
    return text


def _document(found: Waivers, waiver: Waiver, today: date) -> dict[str, Any]:
    fields = waiver.model_dump(mode="json", by_alias=True)
    cap = waiver.cost_cap_usd_per_month
    cost = None if cap is None else float(cap)
    status: Status = waiver.by_dates(today)
    return {**fields, "costCapUsdPerMonth": cost, "status": str(status), "line": found.line_of(waiver)}
