"""Growth of the weeks: the slope of their logarithms, its band, and when nothing can be told."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from math import exp, gamma, log, pi, sqrt
from statistics import linear_regression

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_guard.scenario.growth import MOST_WEEKS, T_P90, growth_of
from cost_guard.scenario.measuring import DayOfTokens, measure
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.scenario.usage import VolumeSource, with_usage

LAST = date(2026, 11, 21)
MONTHS_OF_A_WEEK = 168 / 730


def days(weeks: list[float], rhythm: tuple[float, ...] = (1.0,) * 7) -> list[tuple[date, int]]:
    """Weeks whose mean day is given; the last one ends on LAST."""
    first = LAST - timedelta(days=7 * len(weeks) - 1)
    return [
        (first + timedelta(days=7 * i + n), round(mean * part))
        for i, mean in enumerate(weeks)
        for n, part in enumerate(rhythm)
    ]


def told(weeks: list[float], rhythm: tuple[float, ...] = (1.0,) * 7) -> dict[str, float | int]:
    found = growth_of(days(weeks, rhythm))
    assert found is not None
    return found


@pytest.mark.parametrize("per_month", [0.15, -0.2, 0.0])
def test_an_even_growth_is_found_exactly(per_month: float) -> None:
    """Without noise the band is a point."""
    found = told([1e12 * (1 + per_month) ** (i * MONTHS_OF_A_WEEK) for i in range(8)])
    assert found == {
        "perMonth": pytest.approx(per_month, abs=1e-4),
        "low": pytest.approx(per_month, abs=1e-4),
        "high": pytest.approx(per_month, abs=1e-4),
        "weeks": 8,
    }


def test_the_rhythm_of_the_week_is_no_growth() -> None:
    """Weekends count a tenth."""
    assert told([1e9] * 5, (1.4,) * 5 + (0.14,) * 2)["perMonth"] == 0


def test_the_band_is_student_s() -> None:
    """Four weeks of 1, 2, 1, 2 (× 10⁹), reckoned by the library's regression and t(2) = 1.8856."""
    weeks = [1e9, 2e9, 1e9, 2e9]
    y = [log(week) for week in weeks]
    slope, at_zero = linear_regression(range(4), y)
    rest = sum((y_i - at_zero - slope * i) ** 2 for i, y_i in enumerate(y))
    error = 1.8856 * sqrt(rest / 2 / 5)  # Σ(i − 1.5)² = 5
    found = told(weeks)
    for key, of in (("perMonth", slope), ("low", slope - error), ("high", slope + error)):
        assert found[key] == pytest.approx(exp(of / MONTHS_OF_A_WEEK) - 1, rel=2e-3)


def test_the_quantiles_are_student_s() -> None:
    """The density, integrated from 0 to each, makes 0.4 (Simpson, 2,000 steps)."""
    for freedom, quantile in enumerate(T_P90, 2):
        scale = gamma((freedom + 1) / 2) / (sqrt(freedom * pi) * gamma(freedom / 2))
        step = quantile / 2000
        total = sum(
            (1 if n in (0, 2000) else 4 if n % 2 else 2) * (1 + (n * step) ** 2 / freedom) ** (-(freedom + 1) / 2)
            for n in range(2001)
        )
        assert scale * total * step / 3 == pytest.approx(0.4, abs=1e-4)


def test_the_band_holds_the_truth_four_times_in_five() -> None:
    """2,000 series of ten weeks that grow 10 % a month with noise of 20 %: 80 % ± 3 standard errors."""
    draw = random.Random(5)
    weekly = log(1.1) * MONTHS_OF_A_WEEK
    held = sum(
        found["low"] <= 0.1 <= found["high"]
        for found in (told([1e9 * exp(weekly * i + draw.gauss(0, 0.2)) for i in range(10)]) for _ in range(2000))
    )
    assert held / 2000 == pytest.approx(0.8, abs=3 * sqrt(0.8 * 0.2 / 2000))


def test_too_few_weeks_tell_nothing() -> None:
    assert growth_of([]) is None
    assert growth_of(days([1e9] * 3)) is None
    assert growth_of(days([1e9] * 4)[4:]) is None  # three days of the first week are left
    assert growth_of(days([1e9] * 4)[3:]) is not None


def test_weeks_end_at_one_that_tells_nothing() -> None:
    """A quiet week, or a gap: what lies before it is another time."""
    quiet = days([9e9] * 4 + [0] + [1e9] * 4)
    assert growth_of(quiet) == growth_of(days([1e9] * 4))
    gap = [pair for n, pair in enumerate(days([9e9] * 4 + [5e9] + [1e9] * 4)) if not 28 <= n < 32]
    assert growth_of(gap) == growth_of(days([1e9] * 4))


def test_half_a_year_is_the_most() -> None:
    found = told([1e3] * 30 + [1e9] * MOST_WEEKS)
    assert found == {"perMonth": 0, "low": 0, "high": 0, "weeks": MOST_WEEKS}


@given(st.lists(st.integers(1, 10**15), min_size=4, max_size=30))
def test_the_band_lies_around_and_can_be_written(weeks: list[int]) -> None:
    """Whatever the weeks are: a usage file takes it."""
    found = told([float(week) for week in weeks])
    assert -1 < found["low"] <= found["perMonth"] <= found["high"] <= 1000


def test_the_whole_series_counts_for_growth_and_the_last_month_for_the_volume() -> None:
    """It is written to the file, and changes no scenario that does not set growthPerMonth."""
    grown = days([1e9 * 1.02**i for i in range(12)])
    series = {day: DayOfTokens(tokens, 0, 0) for day, tokens in grown}
    source = VolumeSource(name="e.csv", format="csv", sha256="0" * 64, records=84)
    usage = measure(series, sources=(source,), imported_at=date(2026, 11, 22))
    assert usage.growth is not None
    assert (usage.growth.weeks, usage.days) == (12, 30)
    assert usage.growth.per_month == Decimal(str(round(1.02 ** (730 / 168) - 1, 4)))
    scenario = parse_scenario(
        {
            "workload": {"usage": "usage.yaml"},
            "managed": {"usdPerMillionTokens": 5},
            "fleet": {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
        }
    )
    assert with_usage(scenario, usage).workload.growth_per_month == 0
