"""A CSV export row by row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping

from cost_guard import wording
from scripts.crossover.usage.record import Place
from scripts.crossover.usage.stream import Export

MOST_OF_A_FIELD = 1 << 24


def rows(
    export: Export, check: Callable[[list[str], Place], None] = lambda header, place: None
) -> Iterator[tuple[Mapping[str, str], Place]]:
    """All rows of a CSV export by their header; a header that stands again (files joined) is passed over.

    `check` may refuse the header. Raises BadExport.
    """
    csv.field_size_limit(MOST_OF_A_FIELD)
    reader = csv.reader(export.lines(), strict=True)
    header: list[str] = []
    try:
        for row in reader:
            place = export.place = Place(export.name, reader.line_num)
            if row == header or not (len(row) > 1 or "".join(row).strip()):
                continue
            if not header:
                header = [name.strip() for name in row]
                if twice := {name for name in header if header.count(name) > 1}:
                    raise place.bad(f"the column {min(twice)} stands twice")
                check(header, place)
                continue
            if len(row) != len(header):
                raise place.bad(
                    f"has {wording.count(len(row), 'field')}, the header {len(header)}; is the file truncated or mixed?"
                )
            yield dict(zip(header, row, strict=True)), place
    except csv.Error as error:
        raise Place(export.name, reader.line_num).bad(f"not CSV: {error}") from None
