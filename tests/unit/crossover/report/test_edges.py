"""What would flip the answer: the bounds from which it pays, by one figure alone, reckoned by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.edges import Edge, edges
from tests.support.gate import verdict_of

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
LAMBDA = "gpu_8x_a100_80gb_sxm4"


def judge(volume: str, price: str = "5", fleet: Any = None, **horizon: Any) -> Verdict:
    """Two nodes at $7,920 that serve 4.377B each with a peak of twice the mean, one spare, $4,100 of overhead."""
    data = {
        "workload": {"tokensPerMonth": volume, "kind": "measured", "peakToMean": 2, "model": MODEL},
        "managed": {"usdPerMillionTokens": price, "source": "an invoice", "date": "2026-11-01"},
        "fleet": fleet or {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
        "horizon": {"months": 24, **horizon},
        "uncertainty": {"draws": 100},
    }
    return verdict_of(parse_scenario(data, prefix=""), load_catalogue(), date(2026, 11, 22), bills_money=False)


def told(verdict: Verdict) -> dict[str, Edge]:
    assert verdict.shown is not None
    return {edge.name: edge for edge in edges(verdict.shown)}


def test_price_and_node_price_have_a_bound_for_the_month_and_for_the_horizon() -> None:
    """27,860 and 688,640 for 6B a month; (30,000 − 4,100)/3, and (720,000 − 20,000 − 24 × 4,100)/(24 × 3)."""
    found = told(judge("6e9", upfrontUsd=20_000))
    assert found["managed price"] == Edge("managed price", "$5/M tokens", "≥ $4.65/M tokens", "≥ $4.79/M tokens")
    assert 4.64 < 27_860 / 6_000 < 4.65
    assert 4.78 < 688_640 / 144_000 < 4.79
    month, horizon = 25_900 / 3, 601_600 / 72
    assert found["node price"] == Edge(
        "node price",
        "$7,920/month",
        f"≤ ${int(month):,}/month (+{100 * (month / 7920 - 1):.0f} %)",
        f"≤ ${int(horizon):,}/month (+{100 * (horizon / 7920 - 1):.1f} %)",
    )


@pytest.mark.parametrize(
    ("volume", "price", "month"),
    [
        ("6e9", "5", "≥ 5.572B"),
        ("4.2e9", "5", "3.988B to 4.377B, for good ≥ 5.572B"),
        ("5e9", "5", "≥ 5.572B"),
        ("500e6", "5", "≥ 3.988B (for good ≥ 5.572B)"),
        ("24e9", "0.8", "at none above it"),
    ],
)
def test_the_volume_is_told_with_the_bands_around_it(volume: str, price: str, month: str) -> None:
    """19,940/5, what one node serves, 27,860/5; at $0.80 a further node costs more than its tokens."""
    assert told(judge(volume, price))["volume"].month == month


def test_no_price_of_a_node_helps_where_the_overhead_alone_is_too_much() -> None:
    """500M tokens cost $2,500 managed, the overhead $4,100."""
    assert told(judge("500e6"))["node price"].month == "at none"


def test_unlike_nodes_have_a_share_and_no_price() -> None:
    """All their prices by one factor: as much as the overhead leaves of what is paid to the API."""
    ladders = {
        "a": {"candidates": [{"cloud": "aws", "region": "us-east-1", "sku": "p4de.24xlarge"}]},
        "b": {"candidates": [{"cloud": "lambda", "region": "us-east-1", "sku": LAMBDA}]},
    }
    verdict = judge("6e9", "9", {"nodes": ladders})
    rented = sum(load_catalogue().prices[key].usd_per_month for key in ("aws/p4de.24xlarge", f"lambda/{LAMBDA}"))
    assert verdict.capacity.nodes_needed == 2
    change = (54_000 - 4100) / float(rented) - 1
    assert told(verdict)["node price"].month == f"≤ {'+' if change > 0 else ''}{100 * change:.1f} %"
    assert told(verdict)["node price"].now == ""
