"""Loads one node with requests of one shape and counts tokens per second. Exits 1 where that makes no row."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cost_guard.catalogue.catalogue import THROUGHPUT, Throughput, load_catalogue
from images.engines.vllm import ENGINE
from scripts.crossover.bench import row
from scripts.crossover.bench.load import BenchError, Load, Measured, measure
from scripts.crossover.prices import files
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import DATA, AsJson, Folder
from scripts.crossover.shell.output import console, emit_json, evaluating, failing, table

KEY_VARIABLE = ENGINE.key_variable


def command(
    url: Annotated[str, typer.Argument(metavar="URL", help="One node's vLLM, e.g. https://10.0.0.4:8000; no gateway.")],
    sku: Annotated[str, typer.Option(help="The row it is for: cloud/sku, as in prices.toml.")],
    model: Annotated[str, typer.Option(help="The served model's name.")],
    shape: Annotated[str, typer.Option(metavar="IN/OUT", help="Tokens of one request.")] = "1500/500",
    concurrency: Annotated[int, typer.Option(min=1, max=4096, help="Requests under way at any time.")] = 128,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds before anything counts.")] = 60,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds that count.")] = 300,
    key_env: Annotated[str, typer.Option(help="The variable that holds the server's API key.")] = KEY_VARIABLE,
    ca: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The CA of its certificate.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Add the row to throughput.toml.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="The gate reckons with it for this SKU from now on.")] = False,
    simulated: Annotated[bool, typer.Option("--simulated", help="Take a simulator's figure, as illustrative.")] = False,
    data: Folder = DATA,
    today: Today = None,
    as_json: AsJson = False,
) -> None:
    reading, writing = _shape(shape)
    load = Load(model, reading, writing, concurrency, warm_up, duration)
    with evaluating(as_json), failing(BenchError):
        _check(load_catalogue(data).prices, sku)
        found = measure(url, load, os.environ.get(key_env, ""), None if ca is None else str(ca))
        refused = row.refusal(found, load, simulated)
        fields = row.fields(found, load, day(today))
        keys = [f"{sku}@{model}@{reading}/{writing}", *([sku] if gate else [])]
        if write and not refused:
            for key in keys:
                files.add(data / THROUGHPUT, key, fields, Throughput)
            load_catalogue.cache_clear()
    if as_json:
        _emit(found, keys, fields, refused, write)
    else:
        _show(found, keys, fields, refused, write)
    raise typer.Exit(1 if refused else 0)


def _shape(text: str) -> tuple[int, int]:
    reading, _, writing = text.partition("/")
    if not (reading.isdecimal() and writing.isdecimal() and int(reading) and int(writing)):
        raise typer.BadParameter(f"{text!r} is no shape such as 1500/500", param_hint="--shape")
    return int(reading), int(writing)


def _check(prices: Any, sku: str) -> None:
    if sku not in prices:
        raise BenchError(f"{sku} has no price: a throughput of it would count for nothing. Add it to prices.toml")


def _emit(found: Measured, keys: list[str], fields: dict[str, Any], refused: str, write: bool) -> None:
    plain = {name: f"{value:f}" if isinstance(value, Decimal) else str(value) for name, value in fields.items()}
    measured = {**asdict(found), "tokens_per_s": found.tokens_per_s}
    emit_json(
        {"measured": measured, "rows": dict.fromkeys(keys, plain), "refused": refused, "written": write and not refused}
    )


def _show(found: Measured, keys: list[str], fields: dict[str, Any], refused: str, write: bool) -> None:
    out = console()
    shown = table("tokens/s", "input", "output", "requests", "failed", "latency", "server")
    shown.add_row(
        f"{found.tokens_per_s:,.1f}", f"{found.input_tokens_per_s:,.1f}", f"{found.output_tokens_per_s:,.1f}",
        str(found.requests), str(found.failed), f"{found.mean_latency_s:.2f} s", found.version,
    )  # fmt: skip
    out.print(shown)
    if refused:
        print(f"crossover: no row: {refused}", file=sys.stderr)
        return
    out.print(Text(f"\n{'written to' if write else 'the row for'} {THROUGHPUT}:"))
    out.print(Text(files.shown(keys, fields)), soft_wrap=True)
