"""What the usage APIs of OpenAI and Anthropic share: pages (`data`) of time buckets (`results`).

A page says whether more follow (`has_more`); the next one begins where its last bucket ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cost_guard.scenario.usage import TEXT, Traffic
from scripts.crossover.usage.record import Empty, Item, Page, Place, Record, grouping, moment, refuse_slip, text
from scripts.crossover.usage.stream import Export, elements


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whose results are read."""

    start: datetime
    width: timedelta

    def record(
        self,
        result: Mapping[str, Any],
        fresh: int,
        cached: int,
        output: int,
        place: Place,
        traffic: Traffic = TEXT,
    ) -> Record:
        """Tokens of one result, all of one traffic."""
        identity = f"{self.start.timestamp()} {self.width} {grouping(result)}"
        model = text(result.get("model"))
        return Record(self.start, self.width, model, fresh, cached, output, identity, place, traffic)


Make = Callable[[Mapping[str, Any], Bucket, Place], Iterable[Record]]


class _Turn:
    """Where the page that is being read begins and ends."""

    def __init__(self) -> None:
        self._begins: datetime | None = None
        self._ends: datetime | None = None

    def over(self, empty: Empty) -> Empty:
        """Another bucket of the page."""
        self._begins = self._begins or empty.start
        self._ends = empty.start + empty.width
        return empty

    def page(self, envelope: Mapping[str, Any], place: Place) -> Iterator[Page]:
        """The page at its end, whose envelope was read; a page that says nothing of more is whole. Raises BadExport."""
        more = envelope.get("has_more")
        place = place.at("has_more")
        if more is not None and not isinstance(more, bool):
            raise place.bad("must be true or false")
        if self._begins is None and more:
            raise place.bad("says that more follows, of a page without buckets; fetch the pages again")
        if self._begins is not None:
            yield Page(self._begins, self._ends if more else None, place)
        self._begins = self._ends = None


def buckets(export: Export, times: tuple[str, str], make: Make) -> Iterator[Item]:
    """All results of all pages, by `make`. `times` are the keys of a bucket's start and end. Raises BadExport."""
    turn = _Turn()
    for element in elements(export, frozenset({"data"})):
        if element.envelope:
            yield from turn.page(element.value, element.place)
            continue
        pages = element.value.get("data") if isinstance(element.value, Mapping) else None
        if isinstance(pages, list):  # a list of pages, as `jq -s` makes it
            for number, bucket in enumerate(pages):
                yield from _bucket(bucket, times, make, element.place.at("data").at(number), turn)
            yield from turn.page(element.value, element.place)
        else:
            yield from _bucket(element.value, times, make, element.place, turn)


def _bucket(data: Any, times: tuple[str, str], make: Make, place: Place, turn: _Turn) -> Iterator[Item]:
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
    yield turn.over(Empty(start, width, place))
    for number, result in enumerate(data["results"]):
        inner = place.at("results").at(number)
        if not isinstance(result, Mapping):
            raise inner.bad("is no result with token counts")
        yield from make(result, Bucket(start, width), inner)
