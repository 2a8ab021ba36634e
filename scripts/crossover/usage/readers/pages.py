"""What the usage APIs of OpenAI and Anthropic share: pages (`data`) of time buckets (`results`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scripts.crossover.usage.record import Empty, Place, Record, grouping, moment, refuse_slip, text
from scripts.crossover.usage.stream import Export, elements


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whose results are read."""

    start: datetime
    width: timedelta

    def record(self, result: Mapping[str, Any], fresh: int, cached: int, output: int, place: Place) -> Record:
        """One result's tokens."""
        identity = f"{self.start.timestamp()} {self.width} {grouping(result)}"
        return Record(self.start, self.width, text(result.get("model")), fresh, cached, output, identity, place)


Make = Callable[[Mapping[str, Any], Bucket, Place], Record]


def buckets(export: Export, times: tuple[str, str], make: Make) -> Iterator[Record | Empty]:
    """All results of all pages, by `make`. `times` are the keys of a bucket's start and end. Raises BadExport."""
    for element in elements(export, frozenset({"data"})):
        if element.envelope:
            continue
        pages = element.value.get("data") if isinstance(element.value, Mapping) else None
        if isinstance(pages, list):  # a list of pages, as `jq -s` makes it
            for number, bucket in enumerate(pages):
                yield from _bucket(bucket, times, make, element.place.at("data").at(number))
        else:
            yield from _bucket(element.value, times, make, element.place)


def _bucket(data: Any, times: tuple[str, str], make: Make, place: Place) -> Iterator[Record | Empty]:
    starts, ends = times
    absent = {starts, ends, "results"} - data.keys() if isinstance(data, Mapping) else ()
    if len(absent) == 1:  # of more, it is another format's
        refuse_slip(data, next(iter(absent)), place)
    if not isinstance(data, Mapping) or starts not in data or not isinstance(data.get("results"), list):
        raise place.bad(f"no bucket with {starts}, {ends} and results; one export has one format, see --format")
    start = moment(data[starts], place.at(starts))
    width = moment(data.get(ends), place.at(ends)) - start
    if width <= timedelta(0):
        raise place.at(ends).bad(f"is not after {starts}")
    yield Empty(start, width, place)
    for number, result in enumerate(data["results"]):
        inner = place.at("results").at(number)
        if not isinstance(result, Mapping):
            raise inner.bad("is no result with token counts")
        yield make(result, Bucket(start, width), inner)
