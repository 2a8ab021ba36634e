"""The usage file: a month from days, shares, peak, band, and what is refused. Expected values are reckoned by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.pack import gate
from cost_guard.pack.rule import Failure
from cost_guard.scenario.measuring import DayOfTokens, estimated_peak, measure, quantile, volume_sigma
from cost_guard.scenario.proposal import parse_proposal, parse_scenario
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.usage import Usage, VolumeSource, parse_usage, with_usage
from cost_guard.verdict.judge import judge
from tests.support.gate import verdict_of
from tests.support.rules import FLEET_URN

LAST = date(2026, 11, 21)
SOURCES = (VolumeSource(name="page.json", format="openai", sha256="0" * 64, records=30),)
Plain = Callable[..., dict[str, Any]]


def month(days: Sequence[DayOfTokens | None], **more: Any) -> Usage:
    """The usage of consecutive days up to LAST."""
    series = {LAST - timedelta(days=len(days) - 1 - n): tokens for n, tokens in enumerate(days)}
    return measure(series, sources=SOURCES, imported_at=date(2026, 11, 22), **more)


def day(total: int = 1000, hours: tuple[int, ...] | None = None) -> DayOfTokens:
    """60 % fresh, 20 % cached, 20 % output."""
    return DayOfTokens(total * 6 // 10, total * 2 // 10, total * 2 // 10, hours)


def refused(days: Sequence[DayOfTokens | None], **more: Any) -> str:
    with pytest.raises(ScenarioError) as caught:
        month(days, **more)
    return str(caught.value)


def test_a_month_is_thirty_days_times_730_over_720() -> None:
    """30 days of 720 tokens are 730 × 30."""
    usage = month([day(720)] * 30)
    assert usage.tokens_per_month == 21_900
    assert (usage.days, usage.kind) == (30, "measured")
    assert (usage.from_, usage.to) == (date(2026, 10, 23), LAST)


def test_only_the_last_thirty_days_count() -> None:
    assert month([day(999_999)] * 40 + [day(720)] * 30).tokens_per_month == 21_900


def test_cached_is_a_share_of_the_input() -> None:
    """600 fresh, 200 cached, 200 output: 80 % input, a quarter of it cached."""
    usage = month([day()] * 30)
    assert (usage.input_share, usage.cached_share) == (Decimal("0.8"), Decimal("0.25"))


def test_no_input_is_no_cached_share() -> None:
    usage = month([DayOfTokens(0, 0, 5)] * 30)
    assert usage.input_share == usage.cached_share == 0


@pytest.mark.parametrize(("days", "forecast", "fine"), [(14, False, True), (13, False, False), (13, True, True)])
def test_under_fourteen_days_only_a_forecast(days: int, forecast: bool, fine: bool) -> None:
    """A forecast has a band of at least the scenario's default."""
    if fine:
        usage = month([day()] * days, forecast=forecast)
        assert (usage.kind, usage.volume_sigma >= Decimal("0.25")) == (
            ("forecast", True) if forecast else ("measured", False)
        )
    else:
        assert "13 full days" in refused([day()] * days)
        assert "--forecast" in refused([day()] * days)


def test_a_few_gaps_are_scaled_and_kept() -> None:
    """27 days of 720 stand for three that are missing: the month is the same."""
    usage = month([day(720)] * 10 + [None] * 3 + [day(720)] * 17)
    assert usage.tokens_per_month == 21_900
    assert usage.days == 27
    assert usage.gaps == (date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 4))


def test_many_gaps_are_refused_by_name() -> None:
    """Four of 30 are over 10 %."""
    said = refused([day()] * 10 + [None] * 4 + [day()] * 16)
    assert "4 of the 30 days" in said
    assert "2026-11-02, 2026-11-03" in said
    assert "--zero-gaps" in said


def test_no_tokens_and_no_days_are_refused() -> None:
    assert "no tokens" in refused([DayOfTokens(0, 0, 0)] * 30)
    assert "no full day" in refused([])


def test_the_hourly_peak_is_the_99th_percentile_over_the_mean() -> None:
    """720 hours: 700 of 10 tokens, 20 of 100; the 99th percentile lies among the 20, the mean is 12.5."""
    flat, busy = (10,) * 24, (10,) * 22 + (100,) * 2
    usage = month([day(240, flat)] * 20 + [day(420, busy)] * 10)
    assert (usage.peak_to_mean, usage.peak_basis) == (Decimal(8), "hourly")


def test_the_quantile_is_prometheus_own() -> None:
    """quantile_over_time(0.99) of 0…100 is 99; of (0, 10) it is 9.9."""
    assert quantile(range(101), Fraction(99, 100)) == 99
    assert quantile((0, 10), Fraction(99, 100)) == Fraction(99, 10)


def test_the_daily_peak_is_an_estimate_on_the_safe_side() -> None:
    """Busiest day 2 × the mean, its tokens in eight hours: 6."""
    assert estimated_peak([10, 10, 10, 30]) == Fraction(30, 15) * 3
    assert month([day()] * 30).peak_basis == "daily"
    assert month([day()] * 30).peak_to_mean == 3


def test_a_peak_that_is_known_better_is_taken_and_said() -> None:
    usage = month([day()] * 30, peak_to_mean=Decimal("2.2"))
    assert (usage.peak_to_mean, usage.peak_basis) == (Decimal("2.2"), "asserted")


def test_the_band_of_equal_days_is_a_point() -> None:
    usage = month([day(720)] * 30)
    assert usage.band == (Decimal(21_900), Decimal(21_900))


def test_the_band_keeps_whole_weeks_together() -> None:
    """Five working days and a quiet weekend: every seven days sum to the same, so the week is no uncertainty."""
    assert volume_sigma([100, 100, 100, 100, 100, 1, 1] * 4) == pytest.approx(0)


def test_the_band_comes_near_the_formula_of_independent_blocks() -> None:
    """Two halves of 1 and 3 a day: so a block deviates by half its mean, 29 blocks by a √29th of that."""
    sigma = volume_sigma([1] * 100 + [3] * 100)
    assert sigma == pytest.approx(0.5 / (200 / 7) ** 0.5, rel=0.15)  # sd/mean = 1/2 of a block


def test_a_band_from_nothing_but_one_day_stays_finite() -> None:
    assert volume_sigma([0] * 29 + [1000]) <= 5
    assert volume_sigma([7]) == 0


totals = st.lists(st.integers(0, 10**9), min_size=14, max_size=60).filter(lambda t: sum(t[-30:]) > 0)


@given(totals, st.integers(0, 2**32 - 1))
def test_the_bootstrap_is_reproducible_by_its_seed(found: list[int], seed: int) -> None:
    assert volume_sigma(found, seed, draws=50) == volume_sigma(found, seed, draws=50)


@given(totals)
@settings(deadline=None)  # two bootstraps of 2,000 draws each, on however busy a machine
def test_doubling_doubles_the_month_and_leaves_shares_and_peak(found: list[int]) -> None:
    """To the token that rounding may cost."""
    once = month([DayOfTokens(3 * t, t, 2 * t, (6 * t,) + (0,) * 23) for t in found])
    twice = month([DayOfTokens(6 * t, 2 * t, 4 * t, (12 * t,) + (0,) * 23) for t in found])
    assert abs(twice.tokens_per_month - 2 * once.tokens_per_month) <= 1
    assert (twice.input_share, twice.cached_share) == (once.input_share, once.cached_share)
    assert twice.peak_to_mean == once.peak_to_mean
    assert 1 <= once.peak_to_mean <= 720


@given(totals)
@settings(deadline=None)  # two bootstraps of 2,000 draws each, on however busy a machine
def test_the_file_and_the_inputs_say_the_same(found: list[int]) -> None:
    usage = month([day(10 * t) for t in found], peak_to_mean=Decimal(2))
    assert parse_usage(usage.to_inputs()) == usage


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"days": 29}, "crossover:usage.days: from 2026-10-23 to 2026-11-21 are 30 days, but days and gaps make 29"),
        ({"kind": "asserted"}, "crossover:usage.kind: must be 'measured' or 'forecast', got 'asserted'"),
        ({"tokensPerMonth": -1}, "crossover:usage.tokensPerMonth: must be at least 1, got -1"),
        ({"tokensPerMonth": float("nan")}, "must be a finite number, got nan"),
        ({"tokenPerMonth": 1}, "crossover:usage.tokenPerMonth: unknown key (did you mean tokensPerMonth?)"),
        ({"sources": []}, "crossover:usage.sources: must not be empty"),
        ({"sources": [{"name": "a", "formt": "csv", "sha256": "0" * 64, "records": 1}]}, "sources[0].formt: unknown"),
        ({"to": "2026-11-21T00:00:00Z"}, "crossover:usage.to: must be a date as YYYY-MM-DD"),
        ({"from": "2026-11-09", "days": 13}, "crossover:usage.kind: 13 days are no measurement (at least 14)"),
    ],
)
def test_a_usage_file_that_was_edited_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_usage({**month([day()] * 30).to_inputs(), **change})
    assert said in str(caught.value)


# --- in the scenario ---


def named(plain: Plain, **workload: Any) -> dict[str, Any]:
    data = plain()
    return {**data, "workload": {"usage": "usage.yaml", **workload}}


def test_a_scenario_takes_the_numbers_of_its_usage_file(plain: Plain) -> None:
    usage = month([day(10**9)] * 30)
    scenario = with_usage(parse_scenario(named(plain)), usage)
    work = scenario.workload
    assert (work.tokens_per_month, work.kind) == (usage.tokens_per_month, "measured")
    assert work.tokens_per_month == usage.tokens_per_month
    assert (work.input_share, work.cached_share, work.peak_to_mean) == (Decimal("0.8"), Decimal("0.25"), Decimal(3))
    assert scenario.uncertainty.volume == usage.volume_sigma
    assert with_usage(parse_scenario(scenario.to_inputs()), usage) == parse_scenario(scenario.to_inputs())


def test_a_sigma_that_the_scenario_gives_stands(plain: Plain) -> None:
    data = {**named(plain), "uncertainty": {"volume": 0.4}}
    assert with_usage(parse_scenario(data), month([day()] * 30)).uncertainty.volume == Decimal("0.4")


@pytest.mark.parametrize("key", ["kind", "inputShare", "cachedShare", "peakToMean"])
def test_what_the_file_says_is_not_said_again(plain: Plain, key: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(named(plain, **{key: "measured" if key == "kind" else 1}))
    assert f"workload: the usage file says {key}" in str(caught.value)


def test_exactly_one_of_volume_and_usage(plain: Plain) -> None:
    with pytest.raises(ScenarioError, match="exactly one of tokensPerMonth and usage, not both"):
        parse_scenario(named(plain, tokensPerMonth=1))
    with pytest.raises(ScenarioError, match=r"workload\.tokensPerMonth: missing"):
        parse_scenario({**plain(), "workload": {}})


def test_an_unread_usage_file_is_never_evaluated(plain: Plain) -> None:
    with pytest.raises(ScenarioError, match=r"workload.usage: usage.yaml was not read"):
        verdict_of(parse_scenario(named(plain)), load_catalogue(), LAST)


@pytest.mark.parametrize(
    ("age", "forecast", "level"),
    [
        (1, False, None),
        (90, False, None),
        (91, False, Level.WARN),
        (181, False, Level.BLOCK),
        (1, True, Level.WARN),
        (-1, False, Level.WARN),
    ],
)
def test_the_age_of_a_volume_is_that_of_its_last_day(
    plain: Plain, age: int, forecast: bool, level: Level | None
) -> None:
    """Data over 90 days old warn, over 180 block; a forecast warns; so does a day that has not come."""
    usage = month([day(10**9)] * 30, forecast=forecast)
    today = LAST + timedelta(days=age)
    verdict = judge(replace(parse_proposal(named(plain), None, usage), bills_money=True), load_catalogue(), today)
    found = {reason.code: reason.level for reason in verdict.reasons}
    assert found.get("volume-measured") == level
    assert verdict.inputs["tokensPerMonth"].date == LAST
    assert "30 days to 2026-11-21 (openai)" in verdict.inputs["tokensPerMonth"].source


def test_the_pack_judges_the_usage_that_travels_with_the_fleet(plain: Plain) -> None:
    """Its numbers win over those beside it, and a broken one is refused."""
    usage = month([day(10**9)] * 30)
    fleet = {"nodes": 2, "sku": "lambda/gpu_8x_a100_80gb_sxm4"}  # the pack takes no price of the fleet's own
    inputs = {
        **parse_scenario(
            {**plain(1, workload={"model": "meta-llama/Llama-3.1-70B-Instruct"}), "fleet": fleet}
        ).to_inputs(),
        "usage": usage.to_inputs(),
    }
    verdict = gate._judge(json.dumps(inputs), FLEET_URN, LAST)
    assert not isinstance(verdict, Failure)
    assert verdict.inputs["tokensPerMonth"].value == usage.tokens_per_month
    inputs["usage"] = {**usage.to_inputs(), "days": 1}
    broken = gate._judge(json.dumps(inputs), FLEET_URN, LAST)
    assert isinstance(broken, Failure)
    assert "crossover:usage" in broken.lines[0]
