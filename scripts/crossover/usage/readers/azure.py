"""Azure Monitor's metrics of an Azure OpenAI resource, as its REST API and `az monitor metrics list` answer.

Asked for with the aggregation Total, and an interval of an hour (PT1H) or a day (P1D): `az monitor metrics list
--resource <id> --metrics ProcessedPromptTokens GeneratedTokens --aggregation Total --interval PT1H --filter
"ModelDeploymentName eq '*'" --start-time … --end-time …`. A metric has a time series for each value of the dimensions
in the filter. No metric counts what was cached. Samples, read: MicrosoftDocs/azure-monitor-docs,
articles/azure-monitor/platform/rest-api-walkthrough.md (the answer), and the supported metrics of
Microsoft.CognitiveServices/accounts (the names; InputTokens and OutputTokens count the same for all models sold
there).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import Item, Place, Record, Told, moment, text, whole
from scripts.crossover.usage.stream import Export, elements

INPUT, OUTPUT = ("processedprompttokens", "inputtokens"), ("generatedtokens", "outputtokens")
"""In lower case, the names that count input, and output: one pair or the other."""
MODEL = ("modeldeploymentname", "modelname")
"""The dimension that tells the model: the first of these that a series has."""
INTERVAL = re.compile(r"(?:P(?P<days>\d+)D)?(?:PT(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?")
ASK = "ask for ProcessedPromptTokens and GeneratedTokens with aggregation Total and interval PT1H"
NOT_CACHED = "no metric tells what was cached: all input counts as fresh"

Key = tuple[tuple[tuple[str, str], ...], datetime]
"""A series' dimensions, and when a bucket of it begins."""


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    found: dict[Key, dict[str, int]] = defaultdict(dict)
    places: dict[Key, Place] = {}
    answered = False
    for element in elements(export, frozenset({"value"})):
        if element.envelope:
            yield from _records(found, places, _width(element.value, element.place))
            answered = True
            found.clear()
            places.clear()
        else:
            _metric(element.value, element.place, found, places)
    if not answered:
        raise Place(export.name, 1).bad(f"is no answer with value and interval; {ASK}")
    yield Told(NOT_CACHED)


def _width(envelope: Mapping[str, Any], place: Place) -> timedelta:
    value = envelope.get("interval")
    parsed = INTERVAL.fullmatch(value) if isinstance(value, str) else None
    width = timedelta(**{unit: int(n) for unit, n in parsed.groupdict().items() if n}) if parsed else timedelta(0)
    if not width:
        raise place.at("interval").bad(f"must be an interval as PT1H, got {value!r}")
    return width


def _metric(metric: Any, place: Place, found: dict[Key, dict[str, int]], places: dict[Key, Place]) -> None:
    """Adds a metric's series, if it counts input or output. Raises BadExport."""
    name = metric.get("name") if isinstance(metric, Mapping) else None
    series = metric.get("timeseries") if isinstance(metric, Mapping) else None
    if not isinstance(name, Mapping) or not isinstance(series, list):
        raise place.bad("is no metric with name and timeseries")
    side = _side(str(name.get("value")).lower())
    for number, one in enumerate(series) if side else ():
        inner = place.at("timeseries").at(number)
        if not isinstance(one, Mapping) or not isinstance(one.get("data"), list):
            raise inner.bad("is no time series with data")
        for nth, point in enumerate(one["data"]):
            at = inner.at("data").at(nth)
            if not isinstance(point, Mapping) or "timeStamp" not in point:
                raise at.bad("is no point with timeStamp and total")
            key = (_dimensions(one, inner), moment(point["timeStamp"], at.at("timeStamp")))
            if side in found[key]:
                raise at.bad(f"{name.get('value')} counts this {side} twice; ask for one metric of each side")
            found[key][side] = _total(point, at)
            places.setdefault(key, at)


def _side(name: str) -> str:
    return "input" if name in INPUT else "output" if name in OUTPUT else ""


def _total(point: Mapping[str, Any], place: Place) -> int:
    """A bucket without traffic has no total; one with another aggregation is refused."""
    if point.get("total") is None:
        if point.keys() & {"average", "count", "minimum", "maximum"}:
            raise place.bad(f"has no total; {ASK}")
        return 0
    return whole(point["total"], place.at("total"))


def _dimensions(series: Mapping[str, Any], place: Place) -> tuple[tuple[str, str], ...]:
    values = series.get("metadatavalues") or []
    try:
        return tuple(sorted((one["name"]["value"].lower(), str(one["value"])) for one in values))
    except (KeyError, TypeError, AttributeError):
        raise place.at("metadatavalues").bad("is no list of names and values") from None


def _records(found: Mapping[Key, Mapping[str, int]], places: Mapping[Key, Place], width: timedelta) -> Iterator[Record]:
    """Raises BadExport where a side is missing altogether: half of the tokens would be."""
    sides = {side for slot in found.values() for side in slot}
    for side in ("input", "output"):
        if found and side not in sides:
            raise next(iter(places.values())).bad(f"there is no metric of the {side}; {ASK}")
    for (dimensions, start), slot in found.items():
        named = dict(dimensions)
        model = text(next((named[name] for name in MODEL if name in named), None))
        place = places[dimensions, start]
        identity = f"{start.timestamp()} {dimensions}"
        yield Record(start, width, model, slot.get("input", 0), 0, slot.get("output", 0), identity, place)


FORMAT = Format(
    name="azure",
    position=37,
    json=re.compile(r'"(timeseries|metadatavalues|timespan)"'),
    columns=(),
    words=frozenset({"timespan", "interval", "timeseries", "value"}),
    gateway=False,
    read=read,
)
