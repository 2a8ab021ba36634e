"""The search for what would turn a verdict, at the ends of what a configuration may say."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

import pytest

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Scenario
from cost_guard.verdict.judge import judge
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.review.flip import flips
from strict.problems import Problems, parse

TODAY = date(2026, 11, 22)


def _scenario(price: str) -> Scenario:
    return parse(
        Scenario,
        {
            "workload": {"tokensPerMonth": "6e9", "model": "meta-llama/Llama-3.3-70B-Instruct"},
            "managed": {"usdPerMillionTokens": price, "source": "invoice", "date": "2026-10-31"},
            "fleet": {"nodes": 2, "sku": "quoted/lambda-8x-a100-80gb"},
        },
        "scenario: ",
    )


@pytest.mark.parametrize("price", ["980393", "1000000", "0.0001"])
def test_finding_22_a_price_at_the_end_of_its_range_is_no_traceback(price: str) -> None:
    """Audit 22: above 980,392 USD the search stepped over the largest price that a scenario takes, and ended so."""
    for flip in flips(_scenario(price), _judged):
        assert flip.words


def _judged(scenario: Scenario) -> Verdict | None:
    with suppress(Problems):
        return judge(Proposal(scenario), load_catalogue(), TODAY)
    return None


def test_finding_22_what_is_absurd_is_a_line_with_its_key() -> None:
    """Audit 22: no traceback for huge numbers."""
    for price in ("1e7", "1e400", "9" * 5000):
        with pytest.raises(Problems, match=r"managed\.usdPerMillionTokens"):
            _scenario(price)
