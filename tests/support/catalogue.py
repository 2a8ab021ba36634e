"""A small catalogue of its own, whose figures a test can reckon with in its head."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from cost_guard.catalogue.catalogue import Catalogue, load_catalogue
from cost_guard.catalogue.managed import ManagedRates
from cost_guard.catalogue.prices import Price
from cost_guard.catalogue.throughput import Throughput

DAY = date(2026, 11, 22)
SEEN = date(2026, 11, 1)
MODEL = "meta-llama/Llama-3.1-70B-Instruct"
MACHINE = "8x-a100-sxm-80gb"


def price(key: str, usd_per_hour: str, **more: Any) -> Price:
    """A list price of a machine of 8 × A100 80 GB."""
    given = {"machine": MACHINE, "kind": "list", "date": SEEN, "source": "a test", "usdPerHour": usd_per_hour, **more}
    return Price.model_validate({"key": key, **given}, by_name=False)


def served(rate: str, model: str = MODEL, machine: str = MACHINE, **more: Any) -> Throughput:
    """The same rate for input and output, so that C is it whatever the shape."""
    given = {
        "prefillTokensPerSecond": rate, "decodeTokensPerSecond": rate, "sigma": "0.1", "kind": "measured",
        "millisecondsPerOutputToken": 30, "date": SEEN, "source": "a test", **more,
    }  # fmt: skip
    return Throughput.model_validate({"key": f"{machine}@{model}", **given}, by_name=False)


def api(key: str, usd: str, weights: str | None = None, **more: Any) -> ManagedRates:
    """The same price for input and output."""
    given = {"inputUsdPerMillion": usd, "outputUsdPerMillion": usd, "date": SEEN, "source": "a test", **more}
    return ManagedRates.model_validate({"key": key, "weights": weights, **given}, by_name=False)


def catalogue(*rows: Price | Throughput | ManagedRates) -> Catalogue:
    """Only these rows; clouds, machines and models are the committed ones."""
    made = replace(load_catalogue(), prices={}, throughputs={}, managed={})
    return replace(
        made,
        prices={row.key: row for row in rows if isinstance(row, Price)},
        throughputs={row.key: row for row in rows if isinstance(row, Throughput)},
        managed={row.key: row for row in rows if isinstance(row, ManagedRates)},
    )


def candidate(sku: str, region: str, cloud: str = "runpod", **more: Any) -> dict[str, Any]:
    """One rung."""
    return {"cloud": cloud, "region": region, "sku": sku, **more}


def document(nodes: dict[str, list[dict[str, Any]]], volume: str = "6e9", usd: str = "5", **sections: Any) -> Any:
    """Form 3 as plain data; its managed price is of a row `api` and has an invoice."""
    managed = {"usdPerMillionTokens": usd, "model": "api", "source": "invoice", "date": "2026-11-01"}
    return {
        "workload": {"tokensPerMonth": volume, "model": MODEL, **sections.pop("workload", {})},
        "managed": {**managed, **sections.pop("managed", {})},
        "fleet": {"nodes": {key: {"candidates": rungs} for key, rungs in nodes.items()}, **sections.pop("fleet", {})},
        **sections,
    }


USD_PER_NODE = Decimal(730) * 10
"""What a node at $10 an hour costs a month."""


def exactly(*values: Any) -> Any:
    """Whole numbers stand for decimals."""
    return values
