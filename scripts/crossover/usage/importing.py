"""Exports in, one measured volume out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, tzinfo
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from cost_guard import wording
from cost_guard.scenario.measuring import BUSY_HOURS, MAXIMUM_GAP_SHARE, measure
from cost_guard.scenario.usage import TEXT, Traffic, Usage, VolumeSource
from scripts.crossover.usage.readers import FORMATS, format_of, prometheus
from scripts.crossover.usage.record import BadExport
from scripts.crossover.usage.series import Series
from scripts.crossover.usage.stream import Export

AUTO = "auto"
FEWEST_TOKENS = 1_000_000
"""A month of fewer is asked about: a volume worth judging, told in thousands or millions, comes out below."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """How exports are to be read, all of them together."""

    form: str
    """A format's name, or AUTO."""
    counters: str
    """Of a Prometheus: a key of prometheus.COUNTERS."""
    password: str = field(default="", repr=False)
    """What it asks for, if it is a stack's own."""
    zone: tzinfo
    """Whose days the days are."""
    today: date
    models: tuple[str, ...] = ()
    """Patterns; none chooses all."""
    forecast: bool = False
    zero_gaps: bool = False
    peak_to_mean: Decimal | None = None
    counted: tuple[Traffic, ...] = (TEXT,)

    def measured(self, sources: Sequence[str]) -> tuple[Usage, list[str]]:
        """The volume, and what is to be said of it. A source is a file or a Prometheus' address. Raises BadExport,
        ScenarioError."""
        with closing(Series(self.zone, self.today, self.models, self.counted)) as series:
            read = [self._read(source, series) for source in sources]
            if series.empty:
                raise BadExport(f"{', '.join(sources)}: no record")
            days = series.days(self.zero_gaps)
        usage = measure(
            days.series, sources=read, imported_at=self.today, forecast=self.forecast, peak_to_mean=self.peak_to_mean,
            counted=self.counted,
        )  # fmt: skip
        return usage, [*days.notes, *_notes(usage), *_families(read)]

    def _read(self, source: str, series: Series) -> VolumeSource:
        with closing(self._opened(source)) as export:
            if is_address(source):
                told = prometheus.FORMAT
            else:
                told = format_of(export) if self.form == AUTO else FORMATS[self.form]
            number = series.add(told.name, told.records(export, self.zone))
            return VolumeSource(name=Path(export.name).name, format=told.name, sha256=export.sha256, records=number)

    def _opened(self, source: str) -> Export:
        if is_address(source):
            return prometheus.ask(source, self.counters, self.today, self.zone, self.password)
        return Export.open(Path(source))


def is_address(source: str) -> bool:
    """Of a Prometheus, and not a file."""
    return urlsplit(source).scheme in ("http", "https")


def _notes(usage: Usage) -> list[str]:
    notes = []
    if usage.tokens_per_month < FEWEST_TOKENS:
        notes.append(
            f"{wording.tokens(usage.tokens_per_month)} tokens a month are few: does the export count in thousands or "
            "millions? It must count single tokens"
        )
    if usage.gaps:
        notes.append(
            f"{len(usage.gaps)} days are missing (up to {int(MAXIMUM_GAP_SHARE * 100)} % are tolerated): "
            f"the mean of the other {usage.days} stands for them"
        )
    if usage.peak_at_least is not None:
        notes.append(
            f"peakToMean {usage.peak_to_mean:f} is assumed from days, as if each fell into {BUSY_HOURS} hours (even "
            f"hours would make it {usage.peak_at_least:f}): export by the hour to measure it"
        )
    if "batch" in usage.counted:
        notes.append(
            "batch jobs are counted at the hour at which they ran and like other requests; they cost less and can wait"
        )
    return notes


def _families(sources: Sequence[VolumeSource]) -> list[str]:
    """A gateway and a provider may have counted the same request, and no identity tells."""
    formats = {source.format for source in sources}
    if len(formats) > 1 and any(FORMATS[name].gateway for name in formats):
        return [f"{', '.join(sorted(formats))} were added up: make sure that no request is counted by two of them"]
    return []
