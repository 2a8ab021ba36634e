"""`make bench`: what a verdict costs. Prints the section "A verdict" of docs/performance.md.

All of it runs on one core; the imports are measured in processes of their own, the rest as the best of several.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

from cost_guard.arithmetic.draws import bands, simulate
from cost_guard.catalogue.catalogue import Catalogue, committed, load_catalogue
from cost_guard.scenario.proposal import Proposal, parse_scenario
from cost_guard.scenario.scenario import Scenario
from cost_guard.verdict.judge import judge_stack
from cost_guard.verdict.verdict import Verdict
from tests.support.gate import verdict_of

TODAY = date(2026, 11, 22)
REPEATS = 7


def main() -> None:
    """Measures and prints."""
    one = verdict(scenario(draws=100_000)).shown
    assert one is not None
    assert (len(verdict(scenario()).readings), len(verdict(mixed()).readings)) == (1, 3)
    rows = [
        ("`import cost_guard.verdict.judge`", best(lambda: python("import cost_guard.verdict.judge"))),
        ("the same and numpy", best(lambda: python("import cost_guard.verdict.judge, numpy"))),
        ("the catalogue, read and checked", best(read_catalogue)),
        ("one reading of one model, 10,000 draws", best(lambda: verdict(scenario()))),
        ("three readings of one model, 10,000 draws", best(lambda: verdict(mixed()))),
        ("two models of one reading each, 10,000 draws", best(lambda: several(scenario(), scenario()))),
        ("one reading, 100,000 draws", best(lambda: verdict(scenario(draws=100_000)))),
        (
            "100,000 draws over 24 months: quantiles, probability, monthly bands",
            best(
                lambda: (
                    simulate(one.beside, one.horizon, one.sigmas),
                    bands(one.reading, one.beside, one.horizon, one.sigmas),
                )
            ),
        ),
        ("one reading, 10,000,000 draws", best(lambda: verdict(scenario(draws=10_000_000)), repeats=1)),
    ]
    print("\n| What | Measured |\n|---|---|")
    for what, seconds in rows:
        print(f"| {what} | {seconds * 1000:,.1f} ms |")


RUNPOD = {"cloud": "runpod", "region": "any", "sku": "8x-a100-sxm-80gb-secure"}
VAST = {"cloud": "vastai", "region": "any", "sku": "8x-a100-sxm4-80gb"}
LAMBDA = {"cloud": "lambda", "region": "us-east-1", "sku": "gpu_8x_h100_sxm5"}


def scenario(**uncertainty: Any) -> Scenario:
    """Two equal nodes at ρ = 2, where the staircase has a band, growing and at falling prices: one reading."""
    return _scenario({"a": RUNPOD, "b": RUNPOD}, uncertainty)


def mixed(**uncertainty: Any) -> Scenario:
    """Three unlike nodes, each of which may be added: three readings."""
    return _scenario({"a": RUNPOD, "b": VAST, "c": LAMBDA}, uncertainty)


def _scenario(nodes: dict[str, Any], uncertainty: dict[str, Any]) -> Scenario:
    price = {"usdPerMillionTokens": 5, "model": "gpt-4o", "source": "invoice", "date": "2026-11-01"}
    return parse_scenario(
        {
            "workload": {
                "model": "meta-llama/Llama-3.3-70B-Instruct",
                "tokensPerMonth": "6e9",
                "peakToMean": 2,
                "growthPerMonth": "0.03",
            },
            "managed": price,
            "fleet": {"nodes": {key: {"candidates": [rung]} for key, rung in nodes.items()}},
            "horizon": {"months": 24, "apiPriceDeclinePerYear": "0.3", "discountRatePerYear": "0.08"},
            "uncertainty": uncertainty,
        }
    )


def verdict(given: Scenario) -> Verdict:
    """As of a fixed day."""
    return verdict_of(given, load_catalogue(), TODAY)


def several(*given: Scenario) -> Verdict:
    """Of all of them as the models of one stack."""
    return judge_stack({f"m{number}": Proposal(one) for number, one in enumerate(given)}, load_catalogue(), TODAY)


def read_catalogue() -> Catalogue:
    """From its files, as a process does once."""
    committed.cache_clear()
    return load_catalogue()


def python(code: str) -> None:
    """Runs it in a process of its own."""
    subprocess.run([sys.executable, "-c", code], check=True)


def best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the fastest."""

    def once() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return min(once() for _ in range(repeats))


if __name__ == "__main__":
    main()
