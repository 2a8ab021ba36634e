"""Prices, throughputs and managed models, each with its age and source. Exits 3 on a row that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.text import Text

from cost_guard import wording
from cost_guard.catalogue.catalogue import ManagedRates, Price, Throughput, check_dates, load_catalogue
from cost_guard.verdict.rule import FRESH_DAYS, STALE_DAYS
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import DATA, AsJson, Folder
from scripts.crossover.shell.output import console, emit_json, evaluating, right_aligned, styled, table


def command(
    catalogue: Annotated[
        str | None, typer.Option("--catalogue", help="Only rows NAME/…: a cloud, `quoted` (the articles' table), …")
    ] = None,
    data: Folder = DATA,
    today: Today = None,
    as_json: AsJson = False,
) -> None:
    now = day(today)
    with evaluating(as_json):
        check_dates(data, now)
        found = load_catalogue(data)
    prices = _named(found.prices, catalogue)
    served = {key: row for key, row in found.throughputs.items() if row.machine in {p.machine for p in prices.values()}}
    managed = found.managed if catalogue is None else {}
    if not prices:
        known = sorted({key.partition("/")[0] for key in found.prices})
        raise typer.BadParameter(f"no rows {catalogue}/…; there are {', '.join(known)}", param_hint="--catalogue")
    if as_json:
        rows = {"prices": prices, "throughput": served, "managed": managed}
        emit_json({name: [_plain(row, now) for row in part.values()] for name, part in rows.items()})
    else:
        _show(prices, served, managed, now)


def _named(rows: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    return {key: row for key, row in rows.items() if name is None or key.startswith(f"{name}/")}


def _plain(row: Any, now: date) -> dict[str, Any]:
    told: dict[str, Any] = row.model_dump(mode="json", by_alias=True, exclude_none=True)
    told = {name: value for name, value in told.items() if value != ""}
    if isinstance(row, Price):
        told["usdPerMonthEffective"] = f"{row.cost_usd_per_month:f}"
    return {**told, "ageDays": (now - row.date).days}


def _show(
    prices: Mapping[str, Price], served: Mapping[str, Throughput], managed: Mapping[str, ManagedRates], now: date
) -> None:
    out = console()
    if prices:
        shown = table("price, and its source", "terms", "USD/month", "age")
        right_aligned(shown, "USD/month", "age")
        for price in prices.values():
            month = f"{price.cost_usd_per_month:,.0f}"
            shown.add_row(_cited(price), price.terms, month, _age(price.date, now))
        out.print(shown)
    if served:
        shown = table(
            "throughput, and its source", "prefill", "decode", "sigma", "age", title="tokens/s of one machine"
        )
        right_aligned(shown, "prefill", "decode", "sigma", "age")
        for row in served.values():
            rates = (f"{row.prefill_tokens_per_second:,.0f}", f"{row.decode_tokens_per_second:,.0f}")
            shown.add_row(_cited(row), *rates, f"{row.sigma:f}", _age(row.date, now))
        out.print()
        out.print(shown)
    if managed:
        shown = table("managed model", "input", "cached", "output", "age", title="USD per million tokens")
        right_aligned(shown, "input", "cached", "output", "age")
        for model in managed.values():
            cached = model.cached_input_usd_per_million
            figures = (model.input_usd_per_million, cached, model.output_usd_per_million)
            shown.add_row(_sold(model), *map(_usd, figures), _age(model.date, now))
        out.print()
        out.print(shown)


def _age(seen: date, now: date) -> Text:
    days = (now - seen).days
    level = "FAIL" if days > STALE_DAYS else "WARN" if days > FRESH_DAYS else "PASS"
    return styled(level, wording.count(days, "day"))


def _cited(row: Price | Throughput) -> Text:
    note = f" ({row.note})" if row.note else ""
    return Text(row.key).append(f"\n{row.kind}: {row.source}{note}", style="dim")


def _sold(model: ManagedRates) -> Text:
    batch = "" if model.batch_discount is None else f", {wording.percent(model.batch_discount)} off in a batch"
    whose = f", the weights of {model.weights}" if model.weights else ""
    return Text(model.key).append(f"\n{model.provider}{whose}{batch}", style="dim")


def _usd(amount: Decimal | None) -> str:
    return "–" if amount is None else f"{amount:f}"
