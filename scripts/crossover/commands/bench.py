"""Loads one node with requests of several shapes and fits what it serves of input and of output. Exits 1 where that
makes no row."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cost_guard.catalogue.catalogue import THROUGHPUT, Catalogue, Throughput, committed, load_catalogue
from images.engines.vllm import ENGINE
from scripts.crossover.bench import row
from scripts.crossover.bench.load import BenchError, Load, Measured, measure
from scripts.crossover.prices import files
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import DATA, AsJson, Folder
from scripts.crossover.shell.output import console, emit_json, evaluating, failing, table

KEY_VARIABLE = ENGINE.key_variable
SHAPES = ("1500/500", "500/1500")
"""Mostly read and mostly written: what tells prefill from decode."""


def command(
    url: Annotated[str, typer.Argument(metavar="URL", help="One node's vLLM, e.g. https://10.0.0.4:8000; no gateway.")],
    sku: Annotated[str, typer.Option(help="What was rented: cloud/sku, as in prices.toml.")],
    model: Annotated[str, typer.Option(help="The served model's name.")],
    weights: Annotated[str | None, typer.Option(help="Its weights, as in models.toml; by default its name.")] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="IN/OUT", help="Tokens of one request; give two at least. By default 1500/500 500/1500."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=4096, help="Requests under way at any time.")] = 128,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds before anything counts.")] = 60,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds that count.")] = 300,
    key_env: Annotated[str, typer.Option(help="The variable that holds the server's API key.")] = KEY_VARIABLE,
    ca: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The CA of its certificate.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the row into throughput.toml: the gate reckons with it from then on.")
    ] = False,
    simulated: Annotated[bool, typer.Option("--simulated", help="Take a simulator's figure, as illustrative.")] = False,
    data: Folder = DATA,
    today: Today = None,
    as_json: AsJson = False,
) -> None:
    loads = [Load(model, *_shape(one), concurrency, warm_up, duration) for one in shape or SHAPES]
    with evaluating(as_json), failing(BenchError):
        key_of_row = _row_key(load_catalogue(data), sku, weights or model)
        if len({Fraction(one.input_tokens, one.output_tokens) for one in loads}) == 1:
            raise BenchError("the shapes have one share of input: give a second one, so that P and D can be told apart")
        found = [(load, measure(url, load, os.environ.get(key_env, ""), _path(ca))) for load in loads]
        refused = next(filter(None, (row.refusal(one, load, simulated) for load, one in found)), "")
        fields = {} if refused else _fitted(found, day(today))
        if write and not refused:
            files.add(data / THROUGHPUT, key_of_row, fields, Throughput)
            committed.cache_clear()
    if as_json:
        _emit(found, key_of_row, fields, refused, write)
    else:
        _show(found, key_of_row, fields, refused, write)
    raise typer.Exit(1 if refused else 0)


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _fitted(found: list[tuple[Load, Measured]], today: date) -> dict[str, Any]:
    """Raises BenchError."""
    try:
        return row.fields(found, today)
    except ValueError as error:
        raise BenchError(f"no row: {error}") from None


def _shape(text: str) -> tuple[int, int]:
    reading, _, writing = text.partition("/")
    if not (reading.isdecimal() and writing.isdecimal() and int(reading) and int(writing)):
        raise typer.BadParameter(f"{text!r} is no shape such as 1500/500", param_hint="--shape")
    return int(reading), int(writing)


def _row_key(catalogue: Catalogue, sku: str, weights: str) -> str:
    """`machine@model`. Raises BenchError for a SKU or weights that the catalogue lacks."""
    price, known = catalogue.prices.get(sku), catalogue.model(weights)
    if price is None:
        raise BenchError(f"{sku} has no price: a throughput of it would count for nothing. Add it to prices.toml")
    if known is None:
        raise BenchError(
            f"{weights} is not in the table of models: name its weights by --weights, or add it to models.toml"
        )
    return f"{price.machine}@{known.serves_as or known.key}"


def _emit(found: list[tuple[Load, Measured]], key: str, fields: dict[str, Any], refused: str, write: bool) -> None:
    plain = {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in fields.items()}
    plain = {name: str(value) if isinstance(value, date) else value for name, value in plain.items()}
    measured = [
        {"shape": f"{load.input_tokens}/{load.output_tokens}", **asdict(one), "tokens_per_s": one.tokens_per_s}
        for load, one in found
    ]
    rows = {} if refused else {key: plain}
    emit_json({"measured": measured, "rows": rows, "refused": refused, "written": write and not refused})


def _show(found: list[tuple[Load, Measured]], key: str, fields: dict[str, Any], refused: str, write: bool) -> None:
    out = console()
    shown = table("shape", "tokens/s", "input", "output", "requests", "failed", "latency", "server")
    for load, one in found:
        shown.add_row(
            f"{load.input_tokens}/{load.output_tokens}", f"{one.tokens_per_s:,.1f}", f"{one.input_tokens_per_s:,.1f}",
            f"{one.output_tokens_per_s:,.1f}", str(one.requests), str(one.failed), f"{one.mean_latency_s:.2f} s",
            one.version,
        )  # fmt: skip
    out.print(shown)
    if refused:
        print(f"crossover: no row: {refused}", file=sys.stderr)
        return
    out.print(Text(f"\n{'written to' if write else 'the row for'} {THROUGHPUT}:"))
    out.print(Text(files.shown([key], fields)), soft_wrap=True)
