"""OpenRouter: the activity of its API (a day, model and endpoint each) and the dashboard's CSV (a generation each).

`prompt_tokens` includes what was cached, `completion_tokens` what was reasoned. The API's days do not tell what was
cached. Days and times are UTC. Where OpenRouter counts by its own tokenizer and the cache by the model's, a row may
tell more cached than sent; then all that was sent was cached. Samples, read: the example of GET /api/v1/activity in
OpenRouter's API reference ("grouped by endpoint for the last 30 (completed) UTC days"), and the CSV's header with rows
in public tests of readers of it (router-eval/internal/openrouter: TestParseActivityCSV; yanantin: openrouter verb).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from scripts.crossover.usage.readers.daily_csv import day_of
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import LOGGED, Item, Place, Record, Told, count, moment, refuse_slip, text
from scripts.crossover.usage.stream import Export, elements
from scripts.crossover.usage.table import rows

NOT_CACHED = (
    "the activity of its API does not tell what was cached: all input counts as fresh; the CSV of single generations "
    "tells it"
)
MIDNIGHT = " 00:00:00"


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    if export.start.lstrip()[:1] not in ("{", "["):
        for row, place in rows(export, _check):
            yield _generation(row, place)
        return
    for element in elements(export, frozenset({"data"})):
        if not element.envelope:
            if not isinstance(element.value, Mapping):
                raise element.place.bad("is no row")
            yield _activity(element.value, element.place)
    yield Told(NOT_CACHED)


def _check(header: list[str], place: Place) -> None:
    for column in ("created_at", "tokens_prompt", "tokens_completion", "tokens_cached"):
        refuse_slip(header, column, place, "column")
    if absent := sorted({"tokens_prompt", "tokens_completion"} - {*header}):
        raise place.bad(f"has no column {absent[0]}; export the log of single generations")


def _generation(row: Mapping[str, str], place: Place) -> Record:
    start = moment(row["created_at"], place.at("created_at"))
    given = count(row, "tokens_prompt", place)
    cached = min(count(row, "tokens_cached", place), given) if "tokens_cached" in row else 0
    output = count(row, "tokens_completion", place)
    model = text(row.get("model_permaslug"))
    return Record(start, LOGGED, model, given - cached, cached, output, row["generation_id"], place)


def _activity(row: Mapping[str, Any], place: Place) -> Record:
    refuse_slip(row, "date", place)
    value = row.get("date")
    day = day_of(value.removesuffix(MIDNIGHT) if isinstance(value, str) else value, place.at("date"))
    start = datetime.combine(day, time(0), UTC)
    given = count(row, "prompt_tokens", place, required=True)
    output = count(row, "completion_tokens", place, required=True)
    identity = repr([day, *(row.get(key) for key in ("model_permaslug", "endpoint_id", "provider_name"))])
    return Record(start, timedelta(days=1), text(row.get("model")), given, 0, output, identity, place)


FORMAT = Format(
    name="openrouter",
    position=25,
    json=re.compile(r'"(model_permaslug|byok_usage_inference)"'),
    columns=(frozenset({"generation_id", "created_at"}),),
    words=frozenset({"generation_id", "created_at", "tokens_prompt", "tokens_completion", "model_permaslug"}),
    gateway=True,
    read=read,
)
