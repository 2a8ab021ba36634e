"""A usage file from days: the month that they stand for, its shares, its peak, its band.

The month is the last 30 full days × 730/720, so that it counts as many hours as a month of the gate has. Pure: no file,
no clock.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import log
from statistics import median, pstdev

from cost_guard import wording
from cost_guard.scenario.growth import WEEK_DAYS, growth_of
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.usage import MINIMUM_DAYS, TEXT, WINDOW_DAYS, Traffic, Usage, VolumeSource, parse_usage
from cost_guard.units import HOURS_PER_MONTH

MAXIMUM_GAP_SHARE = Fraction(1, 10)
"""Of the window's days. Up to it the days there are stand for those that are missing."""
DRAWS, SEED = 2000, 7
FORECAST_SIGMA = 0.25
"""What a forecast's band is at least: the scenario's own default, for a short series says little about other weeks."""
LARGEST_SIGMA = 5.0
"""The largest that a scenario takes."""
BUSY_HOURS = 8
"""Without hourly data a day's tokens count as if they fell into this many hours: office hours, in one time zone."""
P99 = Fraction(99, 100)


@dataclass(frozen=True)
class DayOfTokens:
    """What one full day counted, tokens."""

    fresh: int
    cached: int
    output: int
    hours: tuple[int, ...] | None = None
    """All tokens by hour; None where the source knows days only."""
    left_out: tuple[tuple[Traffic, int], ...] = ()
    """What is counted nowhere else: each traffic once, all its tokens."""

    @property
    def total(self) -> int:
        return self.fresh + self.cached + self.output


def measure(
    series: Mapping[date, DayOfTokens | None],
    *,
    sources: Sequence[VolumeSource],
    imported_at: date,
    forecast: bool = False,
    peak_to_mean: Decimal | None = None,
    counted: Sequence[Traffic] = (TEXT,),
) -> Usage:
    """The month that a series of consecutive days stands for; None is a gap. Only the last 30 count, but for growth.

    `peak_to_mean` is what somebody knows better than the data, `counted` what the days count. Raises ScenarioError for
    a series too short (unless it is called a forecast), with too many gaps, or without tokens."""
    if not series:
        raise ScenarioError(["the export has no full day"])
    window = sorted(series)[-WINDOW_DAYS:]
    found = {day: tokens for day in window if (tokens := series[day]) is not None}
    gaps = tuple(day for day in window if day not in found)
    _check_length(window, gaps, forecast)
    days = list(found.values())
    totals = [day.total for day in days]
    if sum(totals) == 0:
        raise ScenarioError([f"no tokens from {window[0]} to {window[-1]}: there is nothing to judge{_only(days)}"])
    given = sum(day.fresh + day.cached for day in days)
    return parse_usage(
        {
            "tokensPerMonth": tokens_per_month(totals),
            "inputShare": _share(given, sum(totals)),
            "cachedShare": _share(sum(day.cached for day in days), given),
            **_peak(days, peak_to_mean),
            "kind": "forecast" if forecast else "measured",
            "from": window[0],
            "to": window[-1],
            "days": len(days),
            "gaps": gaps,
            "volumeSigma": _sigma(totals, forecast),
            "perDay": {"least": min(totals), "median": Decimal(str(median(totals))), "most": max(totals)},
            "counted": counted,
            "leftOut": _left_out(days),
            "growth": growth_of([(day, found.total) for day, found in series.items() if found is not None]),
            "sources": sources,
            "importedAt": imported_at,
        },
        "",
    )


def _sigma(totals: Sequence[int], forecast: bool) -> float:
    """A forecast's is at least the scenario's own."""
    spread = volume_sigma(totals)
    return round(max(spread, FORECAST_SIGMA) if forecast else spread, 4)


def _check_length(window: Sequence[date], gaps: Sequence[date], forecast: bool) -> None:
    days = len(window) - len(gaps)
    if gaps and Fraction(len(gaps), len(window)) > MAXIMUM_GAP_SHARE:
        raise ScenarioError(
            [
                f"{len(gaps)} of the {len(window)} days from {window[0]} to {window[-1]} are missing or incomplete "
                f"({listed(gaps)}), over {int(MAXIMUM_GAP_SHARE * 100)} %: export them too, or say --zero-gaps if "
                "nothing ran on them"
            ]
        )
    if days < MINIMUM_DAYS and not forecast:
        found = f"{wording.count(days, 'full day')} (from {window[0]} to {window[-1]})"
        raise ScenarioError(
            [
                f"{found} are too few to measure a month, at least {MINIMUM_DAYS} are needed: export more, or call it "
                "a forecast with --forecast"
            ]
        )


def listed(days: Sequence[date], most: int = 5) -> str:
    """The first few days, and how many more."""
    text = ", ".join(map(str, days[:most]))
    return text if len(days) <= most else f"{text} and {len(days) - most} more"


def tokens_per_month(totals: Sequence[int]) -> int:
    """The mean day × 730/24: for 30 days their sum × 730/720."""
    return round(Fraction(sum(totals), len(totals)) * HOURS_PER_MONTH / 24)


def _share(part: int, whole: int) -> Decimal:
    return Decimal(part * 10**6 // whole) / 10**6 if whole else Decimal(0)


def _left_out(days: Sequence[DayOfTokens]) -> dict[Traffic, int]:
    """Tokens per month of each traffic that was not counted."""
    found: dict[Traffic, list[int]] = {}
    for day in days:
        for traffic, tokens in day.left_out:
            found.setdefault(traffic, []).append(tokens)
    return {
        traffic: tokens_per_month([*tokens, *[0] * (len(days) - len(tokens))])
        for traffic, tokens in sorted(found.items())
        if sum(tokens)
    }


def _only(days: Sequence[DayOfTokens]) -> str:
    """What there is instead of tokens that count."""
    left_out = ", ".join(_left_out(days))
    return f"; there is only {left_out}, which --count counts" if left_out else ""


def _peak(days: Sequence[DayOfTokens], known: Decimal | None) -> dict[str, object]:
    """The keys of the usage file that tell its peak."""
    if known is not None:
        return {"peakToMean": known, "peakBasis": "asserted"}
    hours = [tokens for day in days if day.hours is not None for tokens in day.hours]
    if all(day.hours is not None for day in days):
        return {"peakToMean": _ratio(quantile(hours, P99) / Fraction(sum(hours), len(hours))), "peakBasis": "hourly"}
    totals = [day.total for day in days]
    return {
        "peakToMean": _ratio(estimated_peak(totals)),
        "peakBasis": "daily",
        "peakAtLeast": _ratio(even_peak(totals)),
    }


def _ratio(value: Fraction) -> Decimal:
    return max(Decimal(1), Decimal(round(value * 1000)) / 1000)


def estimated_peak(totals: Sequence[int]) -> Fraction:
    """Peak-to-mean of daily totals: the busiest day over the mean day × 24/8.

    Days cannot show hours. The estimate errs on the safe side (more peak asks for more nodes): all of a day's tokens
    fall into eight hours.
    """
    return Fraction(max(totals) * len(totals), sum(totals)) * Fraction(24, BUSY_HOURS)


def even_peak(totals: Sequence[int]) -> Fraction:
    """Peak-to-mean of daily totals if each day's hours were alike: the 99th percentile hour over the mean hour."""
    hours = [total for total in totals for _ in range(24)]
    return quantile(hours, P99) / Fraction(sum(totals), len(totals))


def quantile(values: Sequence[int], share: Fraction) -> Fraction:
    """Linear between the neighbours, as Prometheus' quantile_over_time has it."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def volume_sigma(totals: Sequence[int], seed: int = SEED, draws: int = DRAWS) -> float:
    """Standard deviation of the logarithm of resampled months.

    Drawn are as many days as there are, in blocks of seven consecutive ones (overlapping, with replacement), so that
    the rhythm of the week stays in them and a short series has a wide band. Reproducible by `seed`.
    """
    block = min(WEEK_DAYS, len(totals))
    sums = [sum(totals[start : start + block]) for start in range(len(totals) - block + 1)]
    blocks = max(1, round(len(totals) / block))
    draw = random.Random(seed)
    months = [log(max(1, sum(draw.choices(sums, k=blocks)))) for _ in range(draws)]
    return min(pstdev(months), LARGEST_SIGMA)
