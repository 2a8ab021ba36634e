"""Measure a month of tokens from usage exports; the day of the import itself is never counted. Exits 3 where they
cannot be used."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Annotated, cast, get_args
from zoneinfo import ZoneInfo

import typer

from cost_guard.scenario.usage import MINIMUM_DAYS, TEXT, Traffic
from images.engines.common.registry import DEFAULT, engine
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import evaluating
from scripts.crossover.usage import shown
from scripts.crossover.usage.file import render
from scripts.crossover.usage.importing import AUTO, Import, is_address
from scripts.crossover.usage.readers import FORMATS, prometheus

TRAFFIC: tuple[Traffic, ...] = get_args(Traffic)
Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE…", help="Files (all pages together), or a Prometheus' http address.")
]
Form = Annotated[str, typer.Option("--format", help=f"{AUTO}, {', '.join(FORMATS)}.")]
Out = Annotated[Path, typer.Option("--out", dir_okay=False, help="The usage file to write.")]
Forecast = Annotated[
    bool, typer.Option("--forecast", help=f"Call it a forecast; fewer than {MINIMUM_DAYS} days will do.")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--models", help="Only models of these names (* and ? allowed); may stand more than once."),
]
Timezone = Annotated[str, typer.Option("--timezone", help="Whose days the days are, e.g. Europe/Berlin.")]
ZeroGaps = Annotated[bool, typer.Option("--zero-gaps", help="A missing day had no traffic, instead of being unknown.")]
PeakToMean = Annotated[
    float | None,
    typer.Option("--peak-to-mean", min=1, max=1000, help="Known better than from the data: peak hour over mean hour."),
]
Count = Annotated[
    str,
    typer.Option("--count", help=f"What to count, by commas, of {', '.join(TRAFFIC)}; the rest is shown."),
]
Counters = Annotated[
    str, typer.Option("--counters", help=f"Which counters to ask a Prometheus for: {', '.join(prometheus.COUNTERS)}.")
]
Stack = Annotated[
    str | None, typer.Option("--stack", help="The stack whose Prometheus is asked: its password is used.")
]

_NAMESPACE = engine(DEFAULT).metrics.namespace


def command(
    sources: Sources,
    form: Form = AUTO,
    out: Out = Path("usage.yaml"),
    today: Today = None,
    forecast: Forecast = False,
    models: Models = None,
    timezone: Timezone = "UTC",
    zero_gaps: ZeroGaps = False,
    peak_to_mean: PeakToMean = None,
    count: Count = TEXT,
    counters: Counters = _NAMESPACE,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    zone = _zone(timezone)
    now = day(today, zone)
    _check(form, (AUTO, *FORMATS), "--format")
    counted = tuple(dict.fromkeys(cast(Traffic, name.strip()) for name in count.split(",")))
    for name in counted:
        _check(name, TRAFFIC, "--count")
    _check(counters, prometheus.COUNTERS, "--counters")
    for source in sources:
        _check_source(source)
    asked = Import(
        form=form, counters=counters, zone=zone, today=now, models=tuple(models or ()), forecast=forecast,
        zero_gaps=zero_gaps, peak_to_mean=None if peak_to_mean is None else Decimal(str(peak_to_mean)),
        counted=counted, password=_password(stack),
    )  # fmt: skip
    with evaluating(as_json):
        usage, notes = asked.measured(sources)
    try:
        out.write_text(render(usage, notes), "utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}", param_hint="--out") from None
    shown.show(usage, notes, as_json)
    if not as_json:
        # By print: a path stays on one line, to be pasted.
        print(f"\nwritten to {out}; name it in the scenario: workload: {{usage: {out.name}}}")


def _password(stack: str | None) -> str:
    """What the stack's Prometheus asks for; none for somebody else's."""
    if stack is None:
        return ""
    from scripts.crossover.stack.engine import reading  # to start faster: an import of files asks no stack
    from scripts.crossover.stack.state import outputs

    with reading():
        return outputs(stack).monitoring_key


def _check(given: str, known: Collection[str], option: str) -> None:
    if given not in known:
        raise typer.BadParameter(f"{given} is none of {', '.join(known)}", param_hint=option)


def _check_source(source: str) -> None:
    if not is_address(source) and (Path(source).is_dir() or not Path(source).exists()):
        what = f"{source} is a folder, name its files" if Path(source).is_dir() else f"there is no file {source}"
        raise typer.BadParameter(what, param_hint="SOURCE")


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise typer.BadParameter(f"{name} is no time zone like Europe/Berlin", param_hint="--timezone") from None
