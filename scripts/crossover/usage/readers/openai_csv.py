"""The CSV that OpenAI's usage dashboard exports: completions_usage_<from>_<to>.csv, embeddings_usage_<from>_<to>.csv.

A row is a bucket (of a minute, an hour or a day, as the dashboard showed it) and what it is grouped by, with the keys
of the API's results as columns; counts may be written 59200.0. A bucket without traffic has only its times. A group
may stand in several rows of its bucket, one behind the other: they add up. Samples, read: header and rows in
xavierjflanagan/Guardian, shared/docs/…/pass1-hypothesis-tests/openai-usage-and-cost-report-2025-10-12.md; minutes and
groups in completions_usage_2025-10-27_2025-10-27.csv as a public analysis quotes it; embeddings have `input_tokens`
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo

from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.readers.openai_parts import BATCH_UNKNOWN, TokenPart, parts
from scripts.crossover.usage.record import Empty, Item, Place, Record, Told, count, moment, refuse_slip, text
from scripts.crossover.usage.stream import Export
from scripts.crossover.usage.table import rows

GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
TOLD_BY = frozenset({"start_time", "end_time", "start_time_iso"})


class _Bucket:
    """The rows of one bucket so far, by their group."""

    def __init__(self) -> None:
        self._times: object = None
        self._seen: dict[str, set[tuple[str, ...]]] = {}

    def identity(self, row: Mapping[str, str], times: object, place: Place) -> str:
        """Of a group, and which of its rows this is. Raises BadExport where the very same row stands twice."""
        if times != self._times:
            self._times, self._seen = times, {}
        group = repr([row.get(name, "") for name in GROUPS])
        seen, values = self._seen.setdefault(group, set()), tuple(row.values())
        if values in seen:
            raise place.bad("stands twice in its bucket, the same in every column; was the file joined with itself?")
        seen.add(values)
        return f"{times} {group} {len(seen)}"


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    bucket, unknown = _Bucket(), False
    for row, place in rows(export, _check):
        start, end = (moment(_time(row[name]), place.at(name), zone) for name in ("start_time", "end_time"))
        if end <= start:
            raise place.at("end_time").bad("is not after start_time")
        yield Empty(start, end - start, place)
        if not any(row.get(name) for name in ("num_model_requests", "input_tokens", "output_tokens")):
            continue
        unknown |= "output_tokens" in row and not row.get("batch")
        identity = bucket.identity(row, (start.timestamp(), end - start), place)
        for part in _parts(row, place):
            counts = (part.fresh, part.cached, part.output)
            yield Record(start, end - start, text(row.get("model")), *counts, identity, place, part.traffic)
    if unknown:
        yield Told(BATCH_UNKNOWN)


def _check(header: list[str], place: Place) -> None:
    traffic = {*header} - TOLD_BY - {"end_time_iso"}
    if traffic and "input_tokens" not in header:  # without any, no bucket of the export had traffic
        refuse_slip(header, "input_tokens", place, "column")
        raise place.bad("has no column input_tokens; export the usage of completions")
    for column in ("output_tokens", "input_cached_tokens") if traffic else ():
        refuse_slip(header, column, place, "column")


def _time(value: str) -> float | str:
    """Seconds since 1970 are a number, also as 1759622400.0."""
    try:
        return float(value)
    except ValueError:
        return value


def _parts(row: Mapping[str, str], place: Place) -> Iterator[TokenPart]:
    if "output_tokens" in row:
        yield from parts(row, row.get("batch", "").lower() == "true", place)
    else:
        yield TokenPart("embeddings", count(row, "input_tokens", place, required=True), 0, 0)


FORMAT = Format(
    name="openai-csv",
    position=12,
    json=None,
    columns=(TOLD_BY,),
    words=TOLD_BY,
    gateway=True,
    read=read,
)
