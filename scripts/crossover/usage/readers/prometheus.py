"""Token counters in a Prometheus: an hour's `increase`, by model and by kind (input, cached or output).

A saved answer of /api/v1/query_range is read as it is; from an address the last 31 days are asked for. Either has one
series for each model and kind, labelled `model` and `tokens`: what `query` makes. vLLM's prompt tokens include those of
its prefix cache, and LiteLLM's input tokens those of the provider's.
"""

from __future__ import annotations

import io
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from math import isfinite
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from images.engines.common.registry import known
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import BadExport, Item, Place, Record, moment
from scripts.crossover.usage.stream import Export, elements
from strict.names import MONITORING_USER

TOKEN_VARIABLE = "CROSSOVER_PROMETHEUS_TOKEN"
"""A bearer token, where the Prometheus asks for one."""
KINDS = ("input", "cached", "output")
COUNTERS = {
    **{
        m.namespace: (m.model_label, m.prompt_tokens, m.cached_tokens, m.generated_tokens)
        for m in (engine.metrics for engine in known().values())
    },
    "litellm": (
        "model",
        "litellm_input_tokens_metric_total",
        "litellm_input_cached_tokens_metric_total",
        "litellm_output_tokens_metric_total",
    ),
}
HOUR = timedelta(hours=1)
DAYS = 31
TIMEOUT_S = 60.0


def query(counters: str) -> str:
    """PromQL for the tokens of each hour; `counters` is a key of COUNTERS."""
    label, *names = COUNTERS[counters]
    parts = [
        f'label_replace(sum by (model) (label_replace(increase({name}[1h]), "model", "$1", "{label}", "(.*)")), '
        f'"tokens", "{kind}", "", "")'
        for kind, name in zip(KINDS, names, strict=True)
    ]
    return " or ".join(parts)


def ask(address: str, counters: str, today: date, zone: tzinfo, password: str = "") -> Export:
    """The answer of a live Prometheus for the 31 full days before today; `password` is a stack's monitoring key. Raises
    BadExport."""
    import httpx  # here, because it takes 0.2 s, and an import of files asks nobody

    url = urlsplit(address)
    host = url.hostname or address
    end = datetime.combine(today, time(0), zone)
    parameters = {
        "query": query(counters),
        "start": str((end - timedelta(days=DAYS)).timestamp() + 3600),
        "end": str(end.timestamp()),
        "step": "3600",
    }
    token = os.environ.get(TOKEN_VARIABLE)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    login = (MONITORING_USER, password) if password else None
    target = address.rstrip("/") + "/api/v1/query_range"
    try:
        answer = httpx.post(target, data=parameters, headers=headers, auth=login, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadExport(f"{host}: no answer from Prometheus: {type(error).__name__}") from None
    if answer.status_code in (401, 403):
        raise BadExport(
            f"{host}: Prometheus refuses ({answer.status_code}); name the stack whose it is with --stack, or put "
            f"a bearer token into {TOKEN_VARIABLE}"
        )
    if answer.status_code != 200:
        raise BadExport(f"{host}: Prometheus answers {answer.status_code} to a range query")
    return Export(host, cast(BinaryIO, io.BytesIO(answer.content)))


def read(export: Export, zone: tzinfo) -> Iterator[Item]:
    """Raises BadExport."""
    found: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    places: dict[tuple[str, int], Place] = {}
    kinds: set[str] = set()
    for element in elements(export, frozenset({"data", "result"})):
        if element.envelope or (isinstance(element.value, Mapping) and "status" in element.value):
            _check(element.value, element.place)
            continue
        model, kind, values = _series(element.value, element.place)
        kinds.add(kind)
        for number, pair in enumerate(values):
            place = element.place.at("values").at(number)
            ends, tokens = _sample(pair, place)
            slot = found[model, ends]
            if kind in slot:
                raise place.bad(f"the {kind} of model {model!r} stands twice at this time")
            slot[kind] = tokens
            places.setdefault((model, ends), place)
    if not kinds:
        raise Place(export.name, 1).bad("Prometheus knows no such series; are the counters scraped?")
    if lacking := [kind for kind in ("input", "output") if kind not in kinds]:  # half of the tokens would be missed
        raise Place(export.name, 1).bad(f"there is no series with tokens={lacking[0]}; is its counter scraped?")
    for (model, ends), slot in found.items():
        start = moment(ends, places[model, ends]) - HOUR
        given = slot.get("input", 0)
        # Extrapolation and preempted requests let more be hit than was asked for, by a little.
        cached = min(slot.get("cached", 0), given)
        identity = f"{ends} {model}"
        output = slot.get("output", 0)
        yield Record(start, HOUR, model, given - cached, cached, output, identity, places[model, ends])


def _check(envelope: Mapping[str, Any], place: Place) -> None:
    if envelope.get("status", "success") != "success":
        raise place.bad(f"Prometheus answered {envelope.get('status')}: {str(envelope.get('errorType'))[:40]}")
    if envelope.get("resultType", "matrix") != "matrix":
        raise place.bad("is no answer of /api/v1/query_range: resultType must be matrix")


def _series(data: Any, place: Place) -> tuple[str, str, list[Any]]:
    metric = data.get("metric") if isinstance(data, Mapping) else None
    values = data.get("values") if isinstance(data, Mapping) else None
    if not isinstance(metric, Mapping) or not isinstance(values, list):
        raise place.bad("is no series with metric and values, as /api/v1/query_range answers")
    kind = metric.get("tokens")
    if kind not in KINDS:
        raise place.at("metric").bad(
            f"has no label tokens of {', '.join(KINDS)}; save the answer to the query of docs/reference/usage.md"
        )
    return str(metric.get("model", "")), str(kind), values


def _sample(pair: Any, place: Place) -> tuple[int, int]:
    """The second at which the hour ends, and its tokens."""
    if not isinstance(pair, list) or len(pair) != 2:
        raise place.bad("is no [time, value]")
    try:
        ends, tokens = float(pair[0]), float(pair[1])
    except (TypeError, ValueError):
        raise place.bad("is no [time, value]") from None
    if not isfinite(tokens) or tokens < 0:
        raise place.bad(f"must be a count of tokens, got {pair[1]}")
    if ends % 3600:
        raise place.bad("does not end with an hour; ask with step=3600 and a start on a full hour")
    return int(ends), round(tokens)


FORMAT = Format(
    name="prometheus",
    position=40,
    json=re.compile(r'"resultType"|"errorType"'),
    columns=(),
    words=frozenset({"resultType", "metric", "values"}),
    gateway=True,
    read=read,
)
