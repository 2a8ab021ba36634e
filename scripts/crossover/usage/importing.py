"""`crossover usage import`: exports in, one small usage file out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import typer

from cost_guard import wording
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.usage import MAXIMUM_GAP_SHARE, MINIMUM_DAYS, Source, Usage, measure
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.output import cannot_evaluate
from scripts.crossover.usage import show
from scripts.crossover.usage.file import render
from scripts.crossover.usage.readers import FORMATS, format_of, prometheus
from scripts.crossover.usage.record import BadExport
from scripts.crossover.usage.series import Series
from scripts.crossover.usage.stream import Export

AUTO = "auto"
FEWEST_TOKENS = 1_000_000
"""A month of fewer is asked about: a volume worth judging, told in thousands or millions, comes out below."""


def command(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE…", help="Files (all pages together), or a Prometheus' http address.")
    ],
    form: Annotated[str, typer.Option("--format", help=f"{AUTO}, {', '.join(FORMATS)}.")] = AUTO,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The usage file to write.")] = Path("usage.yaml"),
    today: Today = None,
    forecast: Annotated[
        bool, typer.Option("--forecast", help=f"Call it a forecast; fewer than {MINIMUM_DAYS} days will do.")
    ] = False,
    models: Annotated[
        list[str] | None, typer.Option(help="Only models of these names (* and ? allowed); may stand more than once.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Whose days the days are, e.g. Europe/Berlin.")] = "UTC",
    zero_gaps: Annotated[
        bool, typer.Option("--zero-gaps", help="A missing day had no traffic, instead of being unknown.")
    ] = False,
    peak_to_mean: Annotated[
        float | None, typer.Option(min=1, max=1000, help="Known better than from the data: peak hour over mean hour.")
    ] = None,
    counters: Annotated[
        str, typer.Option(help=f"Which counters to ask a Prometheus for: {', '.join(prometheus.COUNTERS)}.")
    ] = "vllm",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
) -> None:
    """Measure a month of tokens from usage exports; the day of the import itself is never counted. Exits 3 where they
    cannot be used."""
    zone = _zone(timezone)
    now = day(today, zone)
    if form not in (AUTO, *FORMATS):
        raise typer.BadParameter(f"{form} is none of {', '.join((AUTO, *FORMATS))}", param_hint="--format")
    if counters not in prometheus.COUNTERS:
        raise typer.BadParameter(f"{counters} is none of {', '.join(prometheus.COUNTERS)}", param_hint="--counters")
    for source in sources:
        if not _is_address(source) and (Path(source).is_dir() or not Path(source).exists()):
            what = f"{source} is a folder, name its files" if Path(source).is_dir() else f"there is no file {source}"
            raise typer.BadParameter(what, param_hint="SOURCE")
    peak = None if peak_to_mean is None else Decimal(str(peak_to_mean))
    try:
        with closing(Series(zone, now, tuple(models or ()))) as series:
            read = [_read(source, form, counters, series, now, zone) for source in sources]
            if series.empty:
                raise BadExport(f"{', '.join(sources)}: no record")
            days = series.days(zero_gaps)
            usage = measure(days.series, sources=read, imported_at=now, forecast=forecast, peak_to_mean=peak)
            notes = [*days.notes, *_notes(usage), *_families(read)]
    except BadExport as error:
        cannot_evaluate([str(error)], as_json)
    except ScenarioError as error:
        cannot_evaluate(error.lines, as_json)
    try:
        out.write_text(render(usage, notes), "utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}", param_hint="--out") from None
    show.told(usage, notes, as_json)
    if not as_json:
        # By print: a path stays on one line, to be pasted.
        print(f"\nwritten to {out}; name it in the scenario: workload: {{usage: {out.name}}}")


def _read(source: str, form: str, counters: str, series: Series, today: date, zone: tzinfo) -> Source:
    address = _is_address(source)
    with closing(prometheus.ask(source, counters, today, zone) if address else Export.open(Path(source))) as export:
        told = prometheus.FORMAT if address else format_of(export) if form == AUTO else FORMATS[form]
        number = series.add(told.name, told.records(export, zone))
        return Source(name=Path(export.name).name, format=told.name, sha256=export.sha256, records=number)


def _is_address(source: str) -> bool:
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
    if usage.peak_basis == "daily":
        notes.append("peakToMean is an estimate from days, as if each fell into 8 hours; hourly data would measure it")
    return notes


def _families(sources: Sequence[Source]) -> list[str]:
    """A gateway and a provider may have counted the same request, and no identity tells."""
    formats = {source.format for source in sources}
    if len(formats) > 1 and any(FORMATS[name].gateway for name in formats):
        return [f"{', '.join(sorted(formats))} were added up: make sure that no request is counted by two of them"]
    return []


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise typer.BadParameter(f"{name} is no time zone like Europe/Berlin", param_hint="--timezone") from None
