"""OpenAI's completions usage: pages of buckets from /v1/organization/usage/completions.

`input_tokens` includes the cached ones (`input_cached_tokens`). A bucket without traffic has no results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.readers.pages import Bucket, buckets
from scripts.crossover.usage.record import Empty, Place, Record, count, split
from scripts.crossover.usage.stream import Export

COMPLETIONS = "organization.usage.completions.result"


def read(export: Export, zone: tzinfo) -> Iterator[Record | Empty]:
    """Raises BadExport."""
    return buckets(export, ("start_time", "end_time"), _record)


def _record(result: Mapping[str, Any], bucket: Bucket, place: Place) -> Record:
    kind = result.get("object", COMPLETIONS)
    if kind != COMPLETIONS:
        raise place.at("object").bad(f"is {kind}; only the usage of completions can be imported")
    given = count(result, "input_tokens", place, required=True)
    fresh, cached = split(given, count(result, "input_cached_tokens", place), place, "input_cached_tokens")
    output = count(result, "output_tokens", place, required=True)
    return bucket.record(result, fresh, cached, output, place)


FORMAT = Format(
    name="openai",
    position=10,
    json=re.compile(r'"start_time"'),
    columns=(),
    words=frozenset({"start_time", "end_time", "results", "input_tokens", "output_tokens"}),
    gateway=False,
    read=read,
)
