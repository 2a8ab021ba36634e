"""The usage file: a measured (or forecast) month of tokens, small enough to commit and to review.

`measure` makes it from normalised days: fresh input, cached input (a part of the input, never beside it), output. The
month is the last 30 full days × 730/720, so that it counts as many hours as a month of the gate has. Pure: no file, no
clock; `crossover usage import` reads the exports and writes what comes out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import exp, log
from statistics import median, pstdev
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cost_guard import wording
from cost_guard.scenario.scenario import Scenario, ScenarioError, Sigma, plain
from cost_guard.scenario.workload import PeakToMean, TokensPerMonth
from cost_guard.units import HOURS_PER_MONTH
from strict.fields import Day, Name, Section, Share
from strict.numbers import NORMAL_P90, Number, Whole, refuse
from strict.problems import parse

WINDOW_DAYS = 30
MINIMUM_DAYS = 14
"""Fewer full days are a forecast at best: two of each weekday are the least that tells a week from chance."""
MAXIMUM_GAP_SHARE = Fraction(1, 10)
"""Of the window's days. Up to it the days there are stand for those that are missing."""
WEEK_DAYS = 7
DRAWS, SEED = 2000, 7
FORECAST_SIGMA = 0.25
"""What a forecast's band is at least: the scenario's own default, for a short series says little about other weeks."""
LARGEST_SIGMA = 5.0
"""The largest that a scenario takes."""
BUSY_HOURS = 8
"""Without hourly data a day's tokens count as if they fell into this many hours: office hours, in one time zone."""


class VolumeSource(Section):
    """Where a part of the volume came from."""

    name: Name
    """A file's name without its folder, or the host of a Prometheus."""
    format: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    records: Annotated[int, Whole(at_least="0")]


class PerDay(Section):
    """The daily series in three numbers, tokens."""

    least: Annotated[Decimal, Number(at_least="0")]
    median: Annotated[Decimal, Number(at_least="0")]
    most: Annotated[Decimal, Number(at_least="0")]


class Usage(Section):
    """The usage file's content. Build it with `parse_usage` or `measure`."""

    tokens_per_month: TokensPerMonth
    input_share: Share
    cached_share: Share
    """Of the input, not of all tokens."""
    peak_to_mean: PeakToMean
    peak_basis: Literal["hourly", "daily", "asserted"]
    """hourly: the 99th percentile hour over the mean hour. daily: an estimate, see `estimated_peak`."""
    kind: Literal["measured", "forecast"]
    from_: Annotated[Day, Field(alias="from")]
    to: Day
    """The last full day: the age of the volume counts from here."""
    days: Annotated[int, Whole(at_least="1", at_most=str(WINDOW_DAYS))]
    """Full days that were counted; the days between `from` and `to`, less the gaps."""
    gaps: tuple[Day, ...] = ()
    """Days for which the others stand."""
    volume_sigma: Sigma
    """Sigma of the log-normal whose median is `tokens_per_month`, from the week-block bootstrap."""
    per_day: PerDay
    sources: Annotated[tuple[VolumeSource, ...], Field(min_length=1)]
    imported_at: Day

    @model_validator(mode="after")
    def _days_fit(self) -> Usage:
        span = (self.to - self.from_).days + 1
        if span != self.days + len(self.gaps):
            raise refuse(
                f"days: from {self.from_} to {self.to} are {span} days, but days and gaps make "
                f"{self.days + len(self.gaps)}; import it again, do not edit it"
            )
        day = self.per_day
        if not day.least <= day.median <= day.most:
            raise refuse("perDay: least, median and most are out of order; import it again, do not edit it")
        mean = self.tokens_per_month * 24 / HOURS_PER_MONTH
        if not day.least - 1 <= mean <= day.most + 1:  # a month is rounded to a token
            raise refuse(
                f"tokensPerMonth: {self.tokens_per_month:,.0f} are {mean:,.0f} a day, outside perDay's "
                f"{day.least:,.0f} to {day.most:,.0f}; import it again, do not edit it"
            )
        if self.kind == "measured" and self.days < MINIMUM_DAYS:
            raise refuse(f"kind: {self.days} days are no measurement (at least {MINIMUM_DAYS}); it must be forecast")
        return self

    @property
    def band(self) -> tuple[Decimal, Decimal]:
        """P10 and P90 of the tokens per month."""
        spread = exp(float(NORMAL_P90) * float(self.volume_sigma))
        volume = float(self.tokens_per_month)
        return Decimal(round(volume / spread)), Decimal(round(volume * spread))

    def describe(self) -> str:
        """E.g. "measured, 30 days to 2026-11-21 (openai)"."""
        formats = ", ".join(sorted({source.format for source in self.sources}))
        return f"{self.kind}, {self.days} days to {self.to} ({formats})"

    def to_inputs(self) -> dict[str, Any]:
        """Plain values in the file's own words; `parse_usage` of it is this usage again."""
        inputs: dict[str, Any] = plain(self.model_dump(by_alias=True))
        return inputs


def parse_usage(data: object, prefix: str = "crossover:usage.") -> Usage:
    """The usage of plain data. `prefix` is what its keys are called by. Raises ScenarioError."""
    return parse(Usage, data, prefix, ScenarioError)


def with_usage(scenario: Scenario, usage: Usage) -> Scenario:
    """The same scenario with the numbers of a usage file; `uncertainty.volume` too, unless it was given."""
    names = ("tokens_per_month", "kind", "input_share", "cached_share", "peak_to_mean")
    numbers = {name: getattr(usage, name) for name in names}
    changed: dict[str, Any] = {"workload": scenario.workload.model_copy(update={**numbers, "usage": None})}
    if "volume" not in scenario.uncertainty.model_fields_set:
        changed["uncertainty"] = scenario.uncertainty.model_copy(update={"volume": usage.volume_sigma})
    return scenario.model_copy(update=changed)


@dataclass(frozen=True)
class DayOfTokens:
    """What one full day counted, tokens."""

    fresh: int
    cached: int
    output: int
    hours: tuple[int, ...] | None = None
    """All tokens by hour; None where the source knows days only."""

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
) -> Usage:
    """The month that a series of consecutive days stands for; None is a gap.

    Only the last 30 days count. `peak_to_mean` is what somebody knows better than the data. Raises ScenarioError where
    the series is too short (unless it is called a forecast), has too many gaps, or no tokens.
    """
    window = sorted(series)[-WINDOW_DAYS:]
    if not window:
        raise ScenarioError(["the export has no full day"])
    found = {day: tokens for day in window if (tokens := series[day]) is not None}
    gaps = tuple(day for day in window if day not in found)
    _check_length(window, gaps, forecast)
    days = list(found.values())
    totals = [day.total for day in days]
    if sum(totals) == 0:
        raise ScenarioError([f"no tokens from {window[0]} to {window[-1]}: there is nothing to judge"])
    peak, basis = (peak_to_mean, "asserted") if peak_to_mean is not None else _peak(days)
    given = sum(day.fresh + day.cached for day in days)
    spread = volume_sigma(totals)
    return parse_usage(
        {
            "tokensPerMonth": tokens_per_month(totals),
            "inputShare": _share(given, sum(totals)),
            "cachedShare": _share(sum(day.cached for day in days), given),
            "peakToMean": peak,
            "peakBasis": basis,
            "kind": "forecast" if forecast else "measured",
            "from": window[0],
            "to": window[-1],
            "days": len(days),
            "gaps": gaps,
            "volumeSigma": round(max(spread, FORECAST_SIGMA) if forecast else spread, 4),
            "perDay": {"least": min(totals), "median": Decimal(str(median(totals))), "most": max(totals)},
            "sources": sources,
            "importedAt": imported_at,
        },
        "",
    )


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


def _peak(days: Sequence[DayOfTokens]) -> tuple[Decimal, str]:
    hours = [tokens for day in days if day.hours is not None for tokens in day.hours]
    if all(day.hours is not None for day in days):
        return _ratio(quantile(hours, Fraction(99, 100)) / Fraction(sum(hours), len(hours))), "hourly"
    return _ratio(estimated_peak([day.total for day in days])), "daily"


def _ratio(value: Fraction) -> Decimal:
    return max(Decimal(1), Decimal(round(value * 1000)) / 1000)


def estimated_peak(totals: Sequence[int]) -> Fraction:
    """Peak-to-mean of daily totals: the busiest day over the mean day × 24/8.

    Days cannot show hours. The estimate errs on the safe side (more peak asks for more nodes): all of a day's tokens
    fall into eight hours.
    """
    return Fraction(max(totals) * len(totals), sum(totals)) * Fraction(24, BUSY_HOURS)


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
