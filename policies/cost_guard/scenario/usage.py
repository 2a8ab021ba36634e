"""The usage file: a measured (or forecast) month of tokens, small enough to commit and to review.

`measuring.measure` makes it from normalised days: fresh input, cached input (a part of the input, never beside it),
output. `crossover usage import` reads the exports and writes what comes out.
"""

from __future__ import annotations

from decimal import Decimal
from math import exp
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cost_guard.scenario.scenario import Scenario, ScenarioError, Sigma, plain
from cost_guard.scenario.sections.workload import PeakToMean, TokensPerMonth
from cost_guard.units import HOURS_PER_MONTH
from strict.fields import Day, Name, Section, Share
from strict.numbers import NORMAL_P90, Number, Whole, refuse
from strict.problems import parse

WINDOW_DAYS = 30
MINIMUM_DAYS = 14
"""Fewer full days are a forecast at best: two of each weekday are the least that tells a week from chance."""

Traffic = Literal["text", "embeddings", "audio", "images", "batch", "other"]
"""What tokens are: text is what a language model answers while somebody waits; batch is text that waits up to a day;
other is reranking and moderation."""
TEXT: Traffic = "text"
Tokens = Annotated[Decimal, Number(at_least="0")]
GrowthRate = Annotated[Decimal, Number(above="-1")]


class VolumeSource(Section):
    """Where a part of the volume came from."""

    name: Name
    """A file's name without its folder, or the host of a Prometheus."""
    format: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    records: Annotated[int, Whole(at_least="0")]


class PerDay(Section):
    """The daily series in three numbers, tokens."""

    least: Tokens
    median: Tokens
    most: Tokens


class MeasuredGrowth(Section):
    """What the weeks say of growth; it counts only where `workload.growthPerMonth` says so. See `growth.growth_of`."""

    per_month: GrowthRate
    """0.15 is 15 % more each month."""
    low: GrowthRate
    """P10."""
    high: GrowthRate
    """P90."""
    weeks: Annotated[int, Whole(at_least="1")]


class Usage(Section):
    """The usage file's content. Build it with `parse_usage` or `measure`."""

    tokens_per_month: TokensPerMonth
    input_share: Share
    cached_share: Share
    """Of the input, not of all tokens."""
    peak_to_mean: PeakToMean
    peak_basis: Literal["hourly", "daily", "asserted"]
    """hourly: the 99th percentile hour over the mean hour. daily: assumed, see `measuring.estimated_peak`."""
    peak_at_least: PeakToMean | None = None
    """Where it is assumed from days: what it would be if each day's hours were alike. Less it cannot be."""
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
    counted: Annotated[tuple[Traffic, ...], Field(min_length=1)] = (TEXT,)
    """Of what was found, what is in all numbers above."""
    left_out: dict[Traffic, Tokens] = Field(default_factory=dict)
    """What was found and is in none of them, tokens per month."""
    growth: MeasuredGrowth | None = None
    """None where the days are too few to tell."""
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
        if both := [traffic for traffic in self.counted if traffic in self.left_out]:
            raise refuse(f"leftOut: {both[0]} is counted, too; import it again, do not edit it")
        if self.peak_basis != "daily" and self.peak_at_least is not None:
            raise refuse("peakAtLeast: is only where peakBasis is daily; import it again, do not edit it")
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
        inputs: dict[str, Any] = plain(self.model_dump(by_alias=True, exclude_none=True))
        return inputs

    @property
    def with_even_days(self) -> Usage | None:
        """The same with the least peak that its days allow; None where the peak is not assumed."""
        if self.peak_at_least is None:
            return None
        changed = {"peak_to_mean": self.peak_at_least, "peak_basis": "asserted", "peak_at_least": None}
        return self.model_copy(update=changed)


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
