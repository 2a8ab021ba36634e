"""OpenAI's usage of completions and of embeddings: pages of buckets from /v1/organization/usage/….

`input_tokens` includes what was cached (`input_cached_tokens`). A bucket without traffic has no results. What else it
includes depends on the schema (`parts`, which the dashboard's CSV shares). With `group_by=batch` a result says whether
it is of batch jobs; without, `batch` is null, and nothing tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from cost_guard.scenario.usage import TEXT, Traffic
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.readers.openai_parts import BATCH_UNKNOWN, parts
from scripts.crossover.usage.readers.pages import Bucket, buckets
from scripts.crossover.usage.record import Item, Place, Record, Told, count
from scripts.crossover.usage.stream import Export

PREFIX, SUFFIX = "organization.usage.", ".result"
KINDS: dict[str, Traffic] = {"completions": TEXT, "embeddings": "embeddings", "moderations": "other"}
"""What is counted in tokens. Images, audio and stores are counted in images, seconds and bytes."""


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    unknown = False

    def make(result: Mapping[str, Any], bucket: Bucket, place: Place) -> Iterable[Record]:
        nonlocal unknown
        traffic = _traffic(result, place)
        unknown |= traffic == TEXT and result.get("batch") is None
        return _records(result, bucket, place, traffic)

    yield from buckets(export, ("start_time", "end_time"), make)
    if unknown:
        yield Told(BATCH_UNKNOWN)


def _traffic(result: Mapping[str, Any], place: Place) -> Traffic:
    name = result.get("object", f"{PREFIX}completions{SUFFIX}")
    kind = KINDS.get(str(name).removeprefix(PREFIX).removesuffix(SUFFIX))
    if kind is None:
        raise place.at("object").bad(f"is {name}; only the usage of {' and '.join(list(KINDS)[:2])} can be imported")
    return kind


def _records(result: Mapping[str, Any], bucket: Bucket, place: Place, traffic: Traffic) -> Iterator[Record]:
    if traffic != TEXT:
        yield bucket.record(result, count(result, "input_tokens", place, required=True), 0, 0, place, traffic)
        return
    for part in parts(result, result.get("batch") is True, place):
        yield bucket.record(result, part.fresh, part.cached, part.output, place, part.traffic)


FORMAT = Format(
    name="openai",
    position=10,
    json=re.compile(r'"start_time"'),
    columns=(),
    words=frozenset({"start_time", "end_time", "results", "input_tokens", "output_tokens"}),
    gateway=False,
    read=read,
)
