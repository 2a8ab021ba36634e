"""LiteLLM's tables, as JSON (a list, JSON Lines, or /spend/logs/v2's pages) or as CSV with a header.

`LiteLLM_SpendLogs` has a row a request, `LiteLLM_DailyUserSpend` one a day, user, key and model. What `prompt_tokens`
holds of a cache depends (litellm_cache.py). Days, and times without an offset, are UTC. What LiteLLM answered from its
own cache (`cache_hit` True) reached no model and is not counted; the daily table cannot tell. The call type, or the
daily table's endpoint, tells what the tokens are; a chat's details tell its audio and images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from cost_guard.scenario.usage import TEXT, Traffic
from scripts.crossover.usage.readers.daily_csv import day_of
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.readers.litellm_cache import Conventions, PromptRow
from scripts.crossover.usage.record import (
    LOGGED,
    Empty,
    Item,
    Page,
    Place,
    Record,
    count,
    grouping,
    moment,
    refuse_slip,
    text,
)
from scripts.crossover.usage.stream import Export, elements
from scripts.crossover.usage.table import rows

FROM_CACHE = ("true", "True", True)
KINDS: tuple[tuple[Traffic, re.Pattern[str]], ...] = (
    ("embeddings", re.compile("embedding")),
    ("audio", re.compile("transcription|speech|audio|realtime")),
    ("images", re.compile("image")),
    ("batch", re.compile("batch")),
    ("other", re.compile("rerank|moderation")),
)
"""By a part of the call type (aembedding, aimage_generation, …) or of the endpoint (/v1/embeddings, …)."""
APART: tuple[tuple[Traffic, str], ...] = (("audio", "audio_tokens"), ("images", "image_tokens"))


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    conventions = Conventions(export.name)
    for item in _rows(export):
        if isinstance(item, Page):
            yield item
            continue
        row, place = item
        if "startTime" in row:
            yield from _request(row, place, conventions)
        elif "date" in row and "prompt_tokens" in row:
            yield _day(row, place, conventions)
        else:
            if "prompt_tokens" in row:
                refuse_slip(row, "startTime", place)
            raise place.bad(
                "no row of LiteLLM_SpendLogs (startTime, prompt_tokens, …) or LiteLLM_DailyUserSpend (date, "
                "prompt_tokens, …); one export has one format, see --format"
            )
    yield from conventions.settled()


def _rows(export: Export) -> Iterator[tuple[Mapping[str, Any], Place] | Page]:
    if export.start.lstrip()[:1] not in ("{", "["):
        yield from rows(export)
        return
    for element in elements(export, frozenset({"data"})):
        if element.envelope:
            yield from _page(element.value, element.place)
            continue
        if not isinstance(element.value, Mapping):
            raise element.place.bad("is no row")
        yield element.value, element.place


def _page(envelope: Mapping[str, Any], place: Place) -> Iterator[Page]:
    """Of /spend/logs/v2, which counts its pages."""
    page, pages = envelope.get("page"), envelope.get("total_pages")
    if isinstance(page, int) and isinstance(pages, int):
        of = f"of {pages} ({envelope.get('total')} rows)"
        awaits = f"page {page + 1} {of}" if page < pages else None
        yield Page(f"page {page} {of}", awaits, place.at("total_pages"))


def traffic_of(name: object) -> Traffic:
    """Of a call type or an endpoint."""
    return _traffic_of(name.lower()) if isinstance(name, str) else TEXT


@lru_cache(maxsize=1024)
def _traffic_of(name: str) -> Traffic:
    return next((traffic for traffic, pattern in KINDS if pattern.search(name)), TEXT)


def _request(row: Mapping[str, Any], place: Place, conventions: Conventions) -> Iterator[Record | Empty]:
    start = moment(row["startTime"], place.at("startTime"))
    if row.get("cache_hit") in FROM_CACHE:
        yield Empty(start, LOGGED, place)
        return
    identity = row.get("request_id")
    if not isinstance(identity, str) or not identity:
        refuse_slip(row, "request_id", place)
        raise place.bad("no request_id, so a row that stands twice could not be told")
    traffic, model = traffic_of(row.get("call_type")), text(row.get("model"))
    usage = _usage(row, place)
    prompted, completed = (_under(usage, f"{side}_tokens_details") for side in ("prompt", "completion"))
    read = _first(usage, "cache_read_input_tokens") or _first(prompted, "cached_tokens")
    written = _first(usage, "cache_creation_input_tokens") or _first(prompted, "cache_creation_tokens")
    prompt = count(row, "prompt_tokens", place, required=True)
    made_by = (str(row.get("call_type") or ""), str(row.get("custom_llm_provider") or ""))
    fresh, cached = conventions.split(PromptRow(*made_by, start, LOGGED, model, traffic, prompt, read, written, place))
    output = count(row, "completion_tokens", place, required=True)
    for apart, key in APART if traffic == TEXT and (prompted or completed) else ():
        given, made = min(_first(prompted, key), fresh), min(_first(completed, key), output)
        if given or made:
            fresh, output = fresh - given, output - made
            yield Record(start, LOGGED, model, given, 0, made, identity, place, apart)
    yield Record(start, LOGGED, model, fresh, cached, output, identity, place, traffic)


def _day(row: Mapping[str, Any], place: Place, conventions: Conventions) -> Record:
    day = day_of(row["date"], place.at("date"))
    start, width = datetime.combine(day, time(0), UTC), timedelta(days=1)
    traffic, model = traffic_of(row.get("endpoint")), text(row.get("model"))
    read, written = (count(row, f"cache_{what}_input_tokens", place) for what in ("read", "creation"))
    prompt = count(row, "prompt_tokens", place, required=True)
    made_by = (str(row.get("endpoint") or ""), str(row.get("custom_llm_provider") or ""))
    fresh, cached = conventions.split(PromptRow(*made_by, start, width, model, traffic, prompt, read, written, place))
    output = count(row, "completion_tokens", place, required=True)
    # Without the row's own key: the same user, key and model may not stand twice on a day.
    keys = ("user_id", "team_id", "api_key", "model", "custom_llm_provider", "mcp_namespaced_tool_name", "endpoint")
    identity = f"{day} {grouping({key: row.get(key) for key in keys})}"
    return Record(start, width, model, fresh, cached, output, identity, place, traffic)


Values = list[tuple[Mapping[str, Any], Place]]
"""What a request's `metadata` tells of its usage, the better place first, as LiteLLM's own daily sums take it."""


def _usage(row: Mapping[str, Any], place: Place) -> Values:
    metadata, place = row.get("metadata"), place.at("metadata")
    if isinstance(metadata, str) and metadata:
        try:
            metadata = json.loads(metadata)
        except (ValueError, RecursionError):
            raise place.bad("is not JSON") from None
    if not isinstance(metadata, Mapping):
        return []
    return [
        (values, place.at(name))
        for name in ("additional_usage_values", "usage_object")
        if isinstance(values := metadata.get(name), Mapping)
    ]


def _under(usage: Values, key: str) -> Values:
    return [(inner, place.at(key)) for values, place in usage if isinstance(inner := values.get(key), Mapping)]


def _first(usage: Values, key: str) -> int:
    """The first count that is not 0."""
    for values, place in usage:
        if found := count(values, key, place):
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
