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
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.scenario.scenario import Scenario
from cost_guard.verdict.verdict import Verdict
from tests.support.gate import verdict_of

TODAY = date(2026, 11, 22)
REPEATS = 7


def main() -> None:
    """Measures and prints."""
    one = verdict(scenario(draws=100_000)).shown
    assert one is not None
    rows = [
        ("`import cost_guard.verdict.judge`", best(lambda: python("import cost_guard.verdict.judge"))),
        ("the same and numpy", best(lambda: python("import cost_guard.verdict.judge, numpy"))),
        ("a verdict, 10,000 draws", best(lambda: verdict(scenario()))),
        ("a verdict, 100,000 draws", best(lambda: verdict(scenario(draws=100_000)))),
        (
            "100,000 draws over 24 months: quantiles, probability, monthly bands",
            best(
                lambda: (
                    simulate(one.beside, one.horizon, one.sigmas),
                    bands(one.reading, one.beside, one.horizon, one.sigmas),
                )
            ),
        ),
        ("a verdict, 10,000,000 draws", best(lambda: verdict(scenario(draws=10_000_000)), repeats=1)),
    ]
    print("\n| What | Measured |\n|---|---|")
    for what, seconds in rows:
        print(f"| {what} | {seconds * 1000:,.0f} ms |")


def scenario(**uncertainty: Any) -> Scenario:
    """The sources' two nodes at ρ = 2, where the staircase has a band, growing and at falling prices."""
    return parse_scenario(
        {
            "workload": {"tokensPerMonth": "6e9", "peakToMean": 2, "growthPerMonth": "0.03"},
            "managed": {"usdPerMillionTokens": 5},
            "fleet": {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
            "horizon": {"months": 24, "apiPriceDeclinePerYear": "0.3", "discountRatePerYear": "0.08"},
            "uncertainty": uncertainty,
        }
    )


def verdict(given: Scenario) -> Verdict:
    """As of a fixed day."""
    return verdict_of(given, load_catalogue(), TODAY)


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
