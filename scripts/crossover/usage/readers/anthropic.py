"""Anthropic's messages usage report: pages of buckets from /v1/organizations/usage_report/messages.

`uncached_input_tokens`, cache reads and cache writes stand beside one another. What is written to a cache was sent in
full, so it is fresh input; only what is read from it is cached. With `group_by[]=service_tier` a result of batch jobs
has the tier "batch"; without, nothing tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from cost_guard.scenario.usage import TEXT, Traffic
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.readers.pages import Bucket, buckets
from scripts.crossover.usage.record import Item, Place, Record, count, refuse_slip
from scripts.crossover.usage.stream import Export

CREATION = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    return buckets(export, ("starting_at", "ending_at"), _record)


def _record(result: Mapping[str, Any], bucket: Bucket, place: Place) -> Iterator[Record]:
    written = result.get("cache_creation") or {}
    refuse_slip(result, "cache_creation", place)
    if not isinstance(written, Mapping):
        raise place.at("cache_creation").bad("must be a map of token counts")
    fresh = count(result, "uncached_input_tokens", place, required=True)
    fresh += sum(count(written, key, place.at("cache_creation")) for key in CREATION)
    cached = count(result, "cache_read_input_tokens", place)
    output = count(result, "output_tokens", place, required=True)
    traffic: Traffic = "batch" if result.get("service_tier") == "batch" else TEXT
    yield bucket.record(result, fresh, cached, output, place, traffic)


FORMAT = Format(
    name="anthropic",
    position=20,
    json=re.compile(r'"starting_at"'),
    columns=(),
    words=frozenset({"starting_at", "ending_at", "results", "uncached_input_tokens", "output_tokens"}),
    gateway=False,
    read=read,
)
