"""`crossover prices refresh`: what live sources say now, as a change to review; with --write, the files are edited."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cost_guard import wording
from cost_guard.catalogue.catalogue import (
    MANAGED,
    PRICES,
    CatalogueError,
    ManagedModel,
    Price,
    check_dates,
    load_catalogue,
)
from providers.errors import InvalidRequest
from scripts.crossover.prices import files, litellm, live
from scripts.crossover.prices.diff import Change, Figures, compare
from scripts.crossover.prices.options import DATA, Folder
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.output import cannot_evaluate, console, emit_json, right_aligned, styled, table
from scripts.crossover.stack.state import AsJson

STATE_STYLES = {"refused": "FAIL", "changed": "WARN", "new": "WARN", "removed": "WARN", "same": "PASS"}

LABELS = {
    "usdPerHour": "$/h",
    "inputUsdPerMillion": "in",
    "cachedInputUsdPerMillion": "cached",
    "outputUsdPerMillion": "out",
    "batchDiscount": "batch −",
}


@dataclass
class Review:
    """What was found out. `trouble`: source → why it did not answer."""

    changes: list[Change] = field(default_factory=list)
    trouble: dict[str, str] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    """Live SKUs that have no row."""
    demanded: bool = False
    """A source did not answer that was asked for by name, or that has credentials."""
    written: list[str] = field(default_factory=list)


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
    """Asks the clouds' APIs and LiteLLM's table, and shows what would change. Exits 1 if anything is refused."""
    now, accepted = day(today), frozenset(accept or ())
    review = Review()
    try:
        check_dates(data, now)
        if clouds is not None or not (managed or source):
            _ask_clouds(review, data, clouds.split(",") if clouds is not None else None, accepted, now, write)
        if managed or source or clouds is None:
            _ask_litellm(review, data, source, accepted, now, write)
    except InvalidRequest as error:
        print(f"crossover: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except CatalogueError as error:
        cannot_evaluate([str(error)], as_json)
    for key in sorted(accepted - {change.key for change in review.changes}):
        review.trouble[key] = "accepted, and no source names it: is it spelt as there?"
        review.demanded = True
    if as_json:
        emit_json(_plain(review))
    else:
        _show(review, write)
    raise typer.Exit(1 if review.demanded or any(change.refused for change in review.changes) else 0)


def _ask_clouds(
    review: Review, data: Path, names: Sequence[str] | None, accepted: frozenset[str], now: date, write: bool
) -> None:
    prices = load_catalogue(data).prices
    answers = live.ask_all(live.renting() if names is None else names, prices, accepted, now)
    answered = [answer for answer in answers if not answer.trouble]
    for answer in answers:
        for reason in answer.trouble.values():
            review.trouble[answer.cloud] = reason
        review.demanded |= bool(answer.failed or (names is not None and answer.missing))
    quotes = [quote for answer in answered for quote in answer.found]
    rows = live.refreshable(prices, [answer.cloud for answer in answered])
    review.unlisted += sorted({quote.key for quote in quotes} - prices.keys() - accepted)
    _settle(review, data / PRICES, Price, compare(rows, quotes, accepted), write)


def _ask_litellm(
    review: Review, data: Path, source: str | None, accepted: frozenset[str], now: date, write: bool
) -> None:
    rows = {key: _figures(model) for key, model in load_catalogue(data).managed.items()}
    try:
        found = litellm.load(source, now)
    except litellm.TableError as error:
        review.trouble["litellm"] = str(error)
        review.demanded = True
        return
    changes = compare(rows, litellm.quotes(found, now), accepted)
    _settle(review, data / MANAGED, ManagedModel, changes, write, litellm.header(found))


def _settle(
    review: Review,
    path: Path,
    model: type[Price] | type[ManagedModel],
    changes: list[Change],
    write: bool,
    header: str | None = None,
) -> None:
    review.changes += changes
    if write and files.rewrite(path, changes, model, header):
        review.written.append(path.name)
        load_catalogue.cache_clear()


def _figures(model: ManagedModel) -> Figures:
    told = {
        "inputUsdPerMillion": model.input_usd_per_million,
        "cachedInputUsdPerMillion": model.cached_input_usd_per_million,
        "outputUsdPerMillion": model.output_usd_per_million,
        "batchDiscount": model.batch_discount,
    }
    return {name: value for name, value in told.items() if value is not None}


def _plain(review: Review) -> dict[str, Any]:
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
            for change in review.changes
        ],
        "notAsked": [{"source": name, "reason": reason} for name, reason in review.trouble.items()],
        "unlisted": review.unlisted,
        "written": review.written,
    }


def _numbers(figures: Figures | None) -> Mapping[str, str] | None:
    return None if figures is None else {name: f"{value:f}" for name, value in figures.items()}


def _show(review: Review, write: bool) -> None:
    out = console()
    if review.changes:
        shown = table("row, and its source or why it is refused", "old", "new", "change", "")
        right_aligned(shown, "old", "new", "change")
        for change in review.changes:
            moved = "" if change.moved is None else f"{'+' if change.moved > 0 else ''}{wording.percent(change.moved)}"
            words = Text(change.key)
            if change.refused:
                words.append(f"\n{change.refused}", style="red")
            else:
                words.append(f"\n{change.fields.get('source', '')}".rstrip(), style="dim")
            state = styled(STATE_STYLES[change.state], change.state)
            shown.add_row(words, _told(change.old), _told(change.new), moved, state)
        out.print(shown)
    if review.unlisted:
        out.print(f"\n{len(review.unlisted)} more have no row; --accept KEY adds one: {', '.join(review.unlisted)}")
    for name, reason in review.trouble.items():
        print(f"{name}: {reason}", file=sys.stderr)
    if review.written:
        out.print(f"\nwritten: {', '.join(review.written)}; review it with git diff")
    elif write:
        out.print("\nnothing to write")
    elif any(change.state != "refused" for change in review.changes):
        out.print("\nnothing is written without --write")


def _told(figures: Figures | None) -> str:
    """One figure a line, short enough for a table; the JSON has every digit."""
    if not figures:
        return "–"
    return "\n".join(f"{LABELS.get(name, name)} {round(value, 4).normalize():f}" for name, value in figures.items())
