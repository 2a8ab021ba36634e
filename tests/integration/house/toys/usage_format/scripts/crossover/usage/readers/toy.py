"""A format that only a test has: a table with the columns day, said and heard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta, tzinfo

from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import Empty, Record, count, moment
from scripts.crossover.usage.stream import Export
from scripts.crossover.usage.table import rows


def read(export: Export, zone: tzinfo) -> Iterator[Record | Empty]:
    for row, place in rows(export):
        start = moment(f"{row['day']}T00:00", place.at("day"), zone)
        heard, said = count(row, "heard", place), count(row, "said", place)
        yield Record(start, timedelta(days=1), None, heard, 0, said, row["day"], place)


FORMAT = Format(
    name="toy",
    position=1000,
    json=None,
    columns=(frozenset({"day", "heard", "said"}),),
    words=frozenset({"day", "heard", "said"}),
    gateway=False,
    read=read,
)
