"""How well the volume is known: the probability, a volume in another unit, the usage file."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.scenario import Baseline, Scenario, ScenarioError
from cost_guard.scenario.usage import Usage, parse_usage, with_usage
from cost_guard.verdict.verdict import Verdict
from tests.support.gate import verdict_of

Build = Callable[..., Scenario]


def levels(verdict: Verdict) -> dict[str, str]:
    return {reason.code: str(reason.level) for reason in verdict.reasons}


def message(verdict: Verdict, code: str) -> str:
    return next(reason.message for reason in verdict.reasons if reason.code == code)


@pytest.mark.parametrize(
    ("volume", "level"),
    # Only the volume is uncertain (σ = 0.25, no outlook) and it pays from 3.988B: V/3.988B is e^(0.25·z).
    [("3948e6", "BLOCK"), ("4028e6", "WARN"), ("4880e6", "WARN"), ("4960e6", None)],
)
def test_probability(quotation: Build, catalogue: Catalogue, today: date, volume: str, level: str | None) -> None:
    """Blocked below one half (V = 3.988B), warned of below 0.8 (z = 0.8416: V = 4.922B)."""
    alone = {"throughput": 0, "apiPrice": 0, "overhead": 0, "volume": "0.25", "outlook": 0, "draws": 100_000}
    verdict = verdict_of(quotation(volume, rho=1, uncertainty=alone), catalogue, today)
    assert levels(verdict).get("probability") == level


def test_probability_is_told_with_its_quantiles(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """The share, the draws, the limit, and where break-even lies, "none" included."""
    text = message(verdict_of(quotation("30e9", rho=2, price="1.85"), catalogue, today), "probability")
    assert text.startswith("in ")
    assert " of 10,000 draws it pays, under 50 %; " in text
    assert re.search(r"; that break-even is P10 [\d.]+B, P50 [\d.]+B, P90 none tokens/month\.$", text)
    hopeless = message(verdict_of(quotation("30e9", rho=2, price="0.80"), catalogue, today), "probability")
    assert hopeless.endswith("; in nine of ten draws no such break-even exists.")


def test_an_unlikely_repair_is_not_blocked(
    quotation: Build, catalogue: Catalogue, today: date, two_nodes: Baseline
) -> None:
    """Within the baseline, `probability` only warns; beyond it, it is judged in full."""
    assert levels(verdict_of(quotation(1), catalogue, today, two_nodes))["probability"] == "WARN"
    grown = quotation(1, fleet={"nodes": 3})
    assert levels(verdict_of(grown, catalogue, today, two_nodes))["probability"] == "BLOCK"


@pytest.mark.parametrize("volume", ["6000", 500, "100", "250000"])
def test_tokens_in_millions_are_noticed(quotation: Build, catalogue: Catalogue, today: date, volume: Any) -> None:
    """6,000 tokens cost 3 cents managed, against $19,940; a million times as many are of the fleet's own size."""
    with pytest.raises(ScenarioError) as caught:
        verdict_of(quotation(volume, workload={"kind": "asserted"}), catalogue, today)
    (line,) = caught.value.lines
    assert line.startswith(f"workload.tokensPerMonth: {volume} tokens a month cost $")
    assert line.endswith(f"and the fleet $19,940; did you give millions? Then write {volume}e6")


def test_a_small_volume_is_no_slip_where_it_is_known(
    quotation: Build, catalogue: Catalogue, today: date, two_nodes: Baseline
) -> None:
    """A measured one, one that a million times would not suit either, and any where a fleet runs: repair passes."""
    assert verdict_of(quotation(6000), catalogue, today).blocked
    assert verdict_of(quotation(1, workload={"kind": "asserted"}), catalogue, today).blocked
    assert verdict_of(quotation("1e6", workload={"kind": "asserted"}), catalogue, today).blocked
    assert not verdict_of(quotation(6000, workload={"kind": "asserted"}), catalogue, today, two_nodes).blocked


def usage(**changed: Any) -> Usage:
    """30 days of May 2026, 6e9 tokens a month, at two sigmas of the default."""
    per_day = {"least": 10**8, "median": 2 * 10**8, "most": 3 * 10**8}
    source = {"name": "may.json", "format": "openai", "sha256": "0" * 64, "records": 30}
    data = {"tokensPerMonth": "6e9", "inputShare": "0.8", "cachedShare": "0.1", "peakToMean": 2, "peakBasis": "hourly",
            "kind": "measured", "from": "2026-05-01", "to": "2026-05-30", "days": 30, "volumeSigma": "0.5",
            "perDay": per_day, "sources": [source], "importedAt": "2026-05-31"}  # fmt: skip
    return parse_usage({**data, **changed})


def test_a_usage_file_gives_the_volume_its_date_and_its_band(quotation: Build, catalogue: Catalogue) -> None:
    """Numbers, kind and sigma are the file's, each input cites it; 91 days after its last day it is old."""
    scenario = quotation("1e9", rho=1)
    verdict = verdict_of(with_usage(scenario, usage()), catalogue, date(2026, 8, 29), usage=usage())
    assert verdict.managed_usd_per_month == 30_000
    assert levels(verdict)["volume-measured"] == "WARN"
    for key, value in (("tokensPerMonth", 6 * 10**9), ("peakToMean", 2), ("inputShare", Decimal("0.8")),
                       ("cachedShare", Decimal("0.1")), ("uncertainty.volume", Decimal("0.5"))):  # fmt: skip
        found = verdict.inputs[key]
        assert (found.value, found.date) == (value, date(2026, 5, 30))
        assert found.source == "usage, measured, 30 days to 2026-05-30 (openai)"
    same = verdict_of(quotation("6e9", rho=2, uncertainty={"volume": "0.5"}), catalogue, date(2026, 8, 29))
    assert verdict.break_even == same.break_even


def test_a_sigma_of_the_scenario_stands_against_the_files(quotation: Build, catalogue: Catalogue) -> None:
    """Who gives one knows better."""
    scenario = with_usage(quotation("1e9", uncertainty={"volume": "0.1"}), usage())
    verdict = verdict_of(scenario, catalogue, date(2026, 6, 1), usage=usage())
    assert (verdict.inputs["uncertainty.volume"].value, verdict.inputs["uncertainty.volume"].source) == (
        Decimal("0.1"),
        "scenario",
    )
