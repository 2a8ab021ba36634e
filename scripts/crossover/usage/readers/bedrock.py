"""Amazon Bedrock's model invocation logs, a request each: the files of the S3 destination (unpacked, any number of them
one behind the other), or what `aws logs filter-log-events` prints of the CloudWatch destination.

`inputTokenCount` leaves out what was read from and written to a cache, which stands beside it. What is written was
sent in full, so it is fresh input. A request that failed (`errorCode`) served nothing. Samples, read: the invocation
of dheerajoruganty/aws-bedrock-logs-mcp-server, setup.md (with both cache counts); AWS' user guide,
model-invocation-logging and quotas-token-burndown ("InputTokenCount + CacheWriteInputTokenCount" of an input: the
counts do not overlap).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import LOGGED, Empty, Item, Page, Place, Record, count, moment, refuse_slip
from scripts.crossover.usage.stream import Export, elements

TOKENS = ("nextToken", "NextToken")
"""Of an answer that is not the last."""


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    more: Page | None = None
    for element in elements(export, frozenset({"events"})):
        if element.envelope:
            named = next((name for name in TOKENS if element.value.get(name)), None)
            more = Page("", str(element.value[named])[:40], element.place.at(named)) if named else None
        else:
            yield _request(*_log(element.value, element.place))
    if more is not None:
        yield more


def _log(value: Any, place: Place) -> tuple[Mapping[str, Any], Place]:
    """The log itself, out of CloudWatch's event about it. Raises BadExport."""
    if isinstance(value, Mapping) and "message" in value and "modelId" not in value:
        place = place.at("message")
        try:
            value = json.loads(value["message"])
        except (ValueError, TypeError, RecursionError):
            raise place.bad("is not JSON") from None
    if not isinstance(value, Mapping) or not {"timestamp", "modelId"} <= value.keys():
        raise place.bad("no model invocation log (timestamp, modelId, input, output); one export has one format")
    return value, place


def _request(log: Mapping[str, Any], place: Place) -> Record | Empty:
    start = moment(log["timestamp"], place.at("timestamp"))
    if log.get("errorCode"):
        return Empty(start, LOGGED, place)
    refuse_slip(log, "input", place)
    given, answered = (_part(log, key, place) for key in ("input", "output"))
    at = place.at("input")
    fresh = count(given, "inputTokenCount", at) + count(given, "cacheWriteInputTokenCount", at)
    cached = count(given, "cacheReadInputTokenCount", at)
    output = count(answered, "outputTokenCount", place.at("output"))
    identity = log.get("requestId")
    if not isinstance(identity, str) or not identity:
        raise place.bad("no requestId, so a log that stands twice could not be told")
    model = str(log["modelId"]).rpartition("/")[2]  # of an ARN, the name
    return Record(start, LOGGED, model, fresh, cached, output, identity, place)


def _part(log: Mapping[str, Any], key: str, place: Place) -> Mapping[str, Any]:
    part = log.get(key) or {}
    if not isinstance(part, Mapping):
        raise place.at(key).bad("must be a map with token counts")
    return part


FORMAT = Format(
    name="bedrock",
    position=35,
    json=re.compile(r'\\?"(schemaType|inputTokenCount)\\?"'),
    columns=(),
    words=frozenset({"schemaType", "modelId", "requestId", "inputTokenCount", "outputTokenCount"}),
    gateway=False,
    read=read,
)
