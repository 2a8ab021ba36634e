"""A plain table: date,model,input,cached,output. The input includes what was cached, as in OpenAI's usage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import Item, Place, Record, count, refuse_slip, split, text
from scripts.crossover.usage.stream import Export
from scripts.crossover.usage.table import rows

COLUMNS = ("date", "model", "input", "cached", "output")


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    for row, place in rows(export, _check):
        day = day_of(row["date"], place.at("date"))
        start, end = (datetime.combine(d, time(0), zone) for d in (day, day + timedelta(days=1)))
        given = count(row, "input", place, required=True)
        fresh, cached = split(given, count(row, "cached", place), place, "cached")
        output = count(row, "output", place, required=True)
        width = end.astimezone(UTC) - start.astimezone(UTC)
        yield Record(start, width, text(row["model"]), fresh, cached, output, f"{day} {row['model']}", place)


def _check(header: list[str], place: Place) -> None:
    for column in COLUMNS:
        refuse_slip(header, column, place, "column")
    if set(header) != set(COLUMNS):
        raise place.bad(f"the columns must be {','.join(COLUMNS)}, got {','.join(header)}")


def day_of(value: object, place: Place) -> date:
    """A day as YYYY-MM-DD; a time is refused, because a day has no zone of its own. Raises BadExport."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass
    raise place.bad(f"must be a day as 2026-10-01, got {value!r}")


FORMAT = Format(
    name="csv",
    position=50,
    json=None,
    columns=(frozenset({"date", "input", "output"}),),
    words=frozenset(COLUMNS),
    gateway=True,
    read=read,
)
