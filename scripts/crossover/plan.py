"""`crossover plan`: the cost gate on a scenario file, without a stack, a cloud or an engine."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from cost_guard import (
    Baseline,
    CatalogueError,
    ScenarioError,
    Verdict,
    evaluate,
    load_catalogue,
    parse_baseline,
    parse_scenario,
    wording,
)
from rich.text import Text

from scripts.crossover.output import cannot_evaluate, console, emit_json, styled, table
from stacks.documents import read_document, read_usage


def command(
    file: Annotated[
        Path,
        typer.Option("--file", "-f", exists=True, dir_okay=False, readable=True, help="The scenario, YAML or JSON."),
    ],
    baseline: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="What is approved and runs; repair passes."),
    ] = None,
    today: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The day to judge ages by; by default today.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 on a warning.")] = False,
) -> None:
    """Does it pay? Break-even, capacity and cost of a scenario. Exits 0 pass or warn, 2 block, 3 cannot evaluate."""
    day = _day(today)
    try:
        data = read_document(file)
        scenario = parse_scenario(data, prefix="")
        usage = read_usage(data, file.parent)
        approved = parse_baseline(read_document(baseline), prefix="baseline: ") if baseline else None
        verdict = evaluate(scenario, load_catalogue(), day, approved, bills_money=False, usage=usage)
    except ScenarioError as error:
        cannot_evaluate(error.lines, as_json)
    except CatalogueError as error:
        cannot_evaluate([str(error)], as_json)
    if as_json:
        emit_json(verdict.to_json_dict())
    else:
        _show(verdict, approved)
    raise typer.Exit(verdict.exit_code(strict))


def _day(given: str | None) -> date:
    if given is None:
        return date.today()
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is no date as YYYY-MM-DD", param_hint="--today") from None


def _show(verdict: Verdict, baseline: Baseline | None) -> None:
    out = console()
    out.print(Text.assemble(styled(str(verdict.level)), f"  {verdict.summary}"))
    if verdict.reasons:
        reasons = table("level", "code", "reason")
        for reason in verdict.reasons:
            reasons.add_row(styled(str(reason.level)), reason.code, Text(reason.message))
        out.print()
        out.print(reasons)
    figures = table("", "")
    figures.show_header = False
    for name, value in _figures(verdict).items():
        figures.add_row(name, Text(value))
    if baseline is not None:
        figures.add_row("baseline", Text(_approved(baseline)))
    out.print()
    out.print(figures)
    if verdict.notes:
        out.print()
    for note in verdict.notes:
        out.print(Text(note))


def _approved(baseline: Baseline) -> str:
    money = f"{wording.count(baseline.nodes, 'node')}, {wording.usd(baseline.usd_per_month)}/month"
    return f"{money}, approved by {baseline.approved_by} on {baseline.date}"


def _figures(verdict: Verdict) -> dict[str, str]:
    capacity, volumes = verdict.capacity, verdict.break_even
    survives = {True: "yes", False: "no", None: "unknown"}[capacity.survives_one_loss]
    busy = wording.percent(capacity.utilisation) if capacity.utilisation is not None else "unknown"
    price = verdict.managed_usd_per_million
    needed = "unknown" if capacity.nodes_needed is None else str(capacity.nodes_needed)
    return {
        "self-hosted": f"{_usd(verdict.self_hosted_usd_per_month)} (fixed {_usd(verdict.fixed_usd_per_month)})",
        "managed": _usd(verdict.managed_usd_per_month) + ("" if price is None else f" at {wording.per_million(price)}"),
        "break-even": f"simple {_volume(volumes.simple)}, first {_volume(volumes.first)}, "
        f"stable {_volume(volumes.stable)} tokens/month",
        "capacity": f"{needed} nodes needed, {busy} busy on average, survives the loss of a node: {survives}",
        "recommendation": verdict.recommendation,
    }


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{wording.usd(amount)}/month"


def _volume(volume: Decimal | None) -> str:
    return "none" if volume is None else wording.tokens(volume)
