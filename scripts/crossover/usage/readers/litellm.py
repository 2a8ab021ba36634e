"""LiteLLM's tables, as JSON (a list, JSON Lines, or /spend/logs/v2's pages) or as CSV with a header.

`LiteLLM_SpendLogs` has a row a request, `LiteLLM_DailyUserSpend` one a day, user, key and model. LiteLLM (read:
1.106.2) brings every provider to OpenAI's convention: `prompt_tokens` includes what was read from and written to a
cache. Its days, and times without an offset, are UTC. What it answered from its own cache (`cache_hit` True) reached no
model and is not counted; the daily table cannot tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from scripts.crossover.usage.readers.daily_csv import day_of
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import (
    LOGGED,
    Empty,
    Place,
    Record,
    count,
    grouping,
    moment,
    refuse_slip,
    split,
    text,
)
from scripts.crossover.usage.stream import Export, elements
from scripts.crossover.usage.table import rows

FROM_CACHE = ("true", "True", True)


def read(export: Export, zone: tzinfo) -> Iterator[Record | Empty]:
    """Raises BadExport."""
    for row, place in _rows(export):
        if "startTime" in row:
            yield _request(row, place)
        elif "date" in row and "prompt_tokens" in row:
            yield _day(row, place)
        else:
            if "prompt_tokens" in row:
                refuse_slip(row, "startTime", place)
            raise place.bad(
                "no row of LiteLLM_SpendLogs (startTime, prompt_tokens, …) or LiteLLM_DailyUserSpend (date, "
                "prompt_tokens, …); one export has one format, see --format"
            )


def _rows(export: Export) -> Iterator[tuple[Mapping[str, Any], Place]]:
    if export.start.lstrip()[:1] not in ("{", "["):
        yield from rows(export)
        return
    for element in elements(export, frozenset({"data"})):
        if element.envelope:
            continue
        if not isinstance(element.value, Mapping):
            raise element.place.bad("is no row")
        yield element.value, element.place


def _request(row: Mapping[str, Any], place: Place) -> Record | Empty:
    start = moment(row["startTime"], place.at("startTime"))
    if row.get("cache_hit") in FROM_CACHE:
        return Empty(start, LOGGED, place)
    identity = row.get("request_id")
    if not isinstance(identity, str) or not identity:
        refuse_slip(row, "request_id", place)
        raise place.bad("no request_id, so a row that stands twice could not be told")
    fresh, cached = _input(row, _cached(row, place), place)
    output = count(row, "completion_tokens", place, required=True)
    return Record(start, LOGGED, text(row.get("model")), fresh, cached, output, identity, place)


def _day(row: Mapping[str, Any], place: Place) -> Record:
    day = day_of(row["date"], place.at("date"))
    start = datetime.combine(day, time(0), UTC)
    fresh, cached = _input(row, count(row, "cache_read_input_tokens", place), place)
    output = count(row, "completion_tokens", place, required=True)
    # Without the row's own key: the same user, key and model may not stand twice on a day.
    keys = ("user_id", "team_id", "api_key", "model", "custom_llm_provider", "mcp_namespaced_tool_name", "endpoint")
    identity = f"{day} {grouping({key: row.get(key) for key in keys})}"
    return Record(start, timedelta(days=1), text(row.get("model")), fresh, cached, output, identity, place)


def _input(row: Mapping[str, Any], cached: int, place: Place) -> tuple[int, int]:
    return split(count(row, "prompt_tokens", place, required=True), cached, place, "cache_read_input_tokens")


def _cached(row: Mapping[str, Any], place: Place) -> int:
    """Tokens read from the provider's cache, from `metadata` as LiteLLM's own daily sums take them."""
    metadata = row.get("metadata")
    if isinstance(metadata, str) and metadata:
        try:
            metadata = json.loads(metadata)
        except (ValueError, RecursionError):
            raise place.at("metadata").bad("is not JSON") from None
    if not isinstance(metadata, Mapping):
        return 0
    for name in ("additional_usage_values", "usage_object"):
        values = metadata.get(name)
        if not isinstance(values, Mapping):
            continue
        inner = place.at("metadata").at(name)
        if found := count(values, "cache_read_input_tokens", inner):
            return found
        details = values.get("prompt_tokens_details")
        if isinstance(details, Mapping) and (found := count(details, "cached_tokens", inner)):
            return found
    return 0


FORMAT = Format(
    name="litellm",
    position=30,
    json=re.compile(r'"(startTime|prompt_tokens)"'),
    columns=(frozenset({"startTime"}), frozenset({"prompt_tokens"})),
    words=frozenset({"startTime", "request_id", "prompt_tokens", "completion_tokens"}),
    gateway=True,
    read=read,
)
