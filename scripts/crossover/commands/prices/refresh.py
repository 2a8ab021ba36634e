"""Asks the clouds' APIs and LiteLLM's table, and shows what would change. Exits 1 if anything is refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from cost_guard import wording
from cost_guard.catalogue.catalogue import (
    check_dates,
)
from providers.errors import InvalidRequest
from scripts.crossover.prices.diff import Figures
from scripts.crossover.prices.renewal import Renewal
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import DATA, AsJson, Folder
from scripts.crossover.shell.output import console, emit_json, evaluating, failing, right_aligned, styled, table

STATE_STYLES = {"refused": "FAIL", "changed": "WARN", "new": "WARN", "removed": "WARN", "same": "PASS"}

LABELS = {
    "usdPerHour": "$/h",
    "inputUsdPerMillion": "in",
    "cachedInputUsdPerMillion": "cached",
    "outputUsdPerMillion": "out",
    "batchDiscount": "batch −",
}


def command(
    clouds: Annotated[str | None, typer.Option(help="Ask these alone, e.g. lambda,aws; all by default.")] = None,
    managed: Annotated[bool, typer.Option("--managed", help="Managed models alone, by LiteLLM's table.")] = False,
    source: Annotated[
        str | None, typer.Option("--table", help="LiteLLM's table: a .whl, .json or https address; the pinned wheel.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Take this row though it is refused, new or gone.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Edit the files; what is refused stays as it is.")] = False,
    data: Folder = DATA,
    today: Today = None,
    as_json: AsJson = False,
) -> None:
    renewal = Renewal(data, frozenset(accept or ()), day(today), write)
    with evaluating(as_json), failing(InvalidRequest):
        check_dates(data, renewal.today)
        if clouds is not None or not (managed or source):
            renewal.ask_clouds(None if clouds is None else clouds.split(","))
        if managed or source or clouds is None:
            renewal.ask_litellm(source)
    renewal.check_accepted()
    if as_json:
        emit_json(_plain(renewal))
    else:
        _show(renewal)
    raise typer.Exit(1 if renewal.demanded or any(change.refused for change in renewal.changes) else 0)


def _plain(renewal: Renewal) -> dict[str, Any]:
    return {
        "changes": [
            {
                "key": change.key,
                "state": change.state,
                "old": _numbers(change.old),
                "new": _numbers(change.new),
                "change": None if change.moved is None else f"{change.moved:f}",
                "source": str(change.fields.get("source", "")),
                "reason": change.refused,
            }
            for change in renewal.changes
        ],
        "notAsked": [{"source": name, "reason": reason} for name, reason in renewal.trouble.items()],
        "unlisted": renewal.unlisted,
        "written": renewal.written,
    }


def _numbers(figures: Figures | None) -> Mapping[str, str] | None:
    return None if figures is None else {name: f"{value:f}" for name, value in figures.items()}


def _show(renewal: Renewal) -> None:
    out = console()
    if renewal.changes:
        shown = table("row, and its source or why it is refused", "old", "new", "change", "")
        right_aligned(shown, "old", "new", "change")
        for change in renewal.changes:
            moved = "" if change.moved is None else f"{'+' if change.moved > 0 else ''}{wording.percent(change.moved)}"
            words = Text(change.key)
            if change.refused:
                words.append(f"\n{change.refused}", style="red")
            else:
                words.append(f"\n{change.fields.get('source', '')}".rstrip(), style="dim")
            state = styled(STATE_STYLES[change.state], change.state)
            shown.add_row(words, _told(change.old), _told(change.new), moved, state)
        out.print(shown)
    if renewal.unlisted:
        out.print(f"\n{len(renewal.unlisted)} more have no row; --accept KEY adds one: {', '.join(renewal.unlisted)}")
    for name, reason in renewal.trouble.items():
        print(f"{name}: {reason}", file=sys.stderr)
    if renewal.written:
        out.print(f"\nwritten: {', '.join(renewal.written)}; review it with git diff")
    elif renewal.write:
        out.print("\nnothing to write")
    elif any(change.state != "refused" for change in renewal.changes):
        out.print("\nnothing is written without --write")


def _told(figures: Figures | None) -> str:
    """One figure a line, short enough for a table; the JSON has every digit."""
    if not figures:
        return "–"
    return "\n".join(f"{LABELS.get(name, name)} {round(value, 4).normalize():f}" for name, value in figures.items())
