"""One traffic, told in every format; what is expected is reckoned here from the traffic itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

TODAY = date(2026, 11, 22)


@dataclass(frozen=True)
class Bucket:
    """Tokens of one model in one hour or one day."""

    start: datetime
    width: timedelta
    model: str
    fresh: int
    cached: int
    output: int

    @property
    def total(self) -> int:
        return self.fresh + self.cached + self.output


def at_day(back: int) -> datetime:
    """Midnight of the day that lies so many days before TODAY."""
    return datetime.combine(TODAY - timedelta(days=back), time(0), UTC)


def daily(days: Sequence[int], tokens: Callable[[int], tuple[int, int, int]], model: str = "m") -> list[Bucket]:
    """A bucket for each day, given in days before TODAY."""
    return [Bucket(at_day(back), timedelta(days=1), model, *tokens(back)) for back in days]


def hourly(days: Sequence[int], tokens: Callable[[int, int], tuple[int, int, int]], model: str = "m") -> list[Bucket]:
    """A bucket for each hour of each day."""
    hour = timedelta(hours=1)
    return [Bucket(at_day(back) + n * hour, hour, model, *tokens(back, n)) for back in days for n in range(24)]


def openai(buckets: Sequence[Bucket]) -> str:
    """A page of /v1/organization/usage/completions."""
    data = []
    for (start, width), group in _by_time(buckets):
        results = [
            {
                "object": "organization.usage.completions.result",
                "input_tokens": b.fresh + b.cached,
                "input_cached_tokens": b.cached,
                "output_tokens": b.output,
                "num_model_requests": 5,
                "project_id": None,
                "model": b.model,
                "batch": False,
            }
            for b in group
        ]
        end = int((start + width).timestamp())
        data.append({"object": "bucket", "start_time": int(start.timestamp()), "end_time": end, "results": results})
    return json.dumps({"object": "page", "data": data, "has_more": False, "next_page": None}, indent=1)


def anthropic(buckets: Sequence[Bucket]) -> str:
    """A page of /v1/organizations/usage_report/messages; a third of the fresh input was written to a cache."""
    data = []
    for (start, width), group in _by_time(buckets):
        results = [
            {
                "uncached_input_tokens": b.fresh - b.fresh // 3,
                "cache_creation": {
                    "ephemeral_1h_input_tokens": b.fresh // 3 - b.fresh // 9,
                    "ephemeral_5m_input_tokens": b.fresh // 9,
                },
                "cache_read_input_tokens": b.cached,
                "output_tokens": b.output,
                "server_tool_use": {"web_search_requests": 0},
                "workspace_id": None,
                "model": b.model,
            }
            for b in group
        ]
        times = {"starting_at": f"{start:%Y-%m-%dT%H:%M:%SZ}", "ending_at": f"{start + width:%Y-%m-%dT%H:%M:%SZ}"}
        data.append({**times, "results": results})
    return json.dumps({"data": data, "has_more": False, "next_page": None})


def litellm_logs(buckets: Sequence[Bucket]) -> str:
    """Rows of LiteLLM_SpendLogs, one request a bucket, as JSON Lines."""
    return "".join(
        json.dumps(
            {
                "request_id": f"r-{b.start.timestamp()}-{b.model}",
                "call_type": "acompletion",
                "api_key": "a hash",
                "prompt_tokens": b.fresh + b.cached,
                "completion_tokens": b.output,
                "startTime": f"{b.start:%Y-%m-%dT%H:%M:%S.000Z}",
                "model": b.model,
                "metadata": {"additional_usage_values": {"cache_read_input_tokens": b.cached}},
                "cache_hit": "False",
                "response": {"choices": []},
            }
        )
        + "\n"
        for b in buckets
    )


def litellm_daily(buckets: Sequence[Bucket]) -> str:
    """Rows of LiteLLM_DailyUserSpend as CSV."""
    header = "id,user_id,date,api_key,model,prompt_tokens,completion_tokens,cache_read_input_tokens"
    rows = [
        (n, "u", b.start.date(), "a hash", b.model, b.fresh + b.cached, b.output, b.cached)
        for n, b in enumerate(buckets)
    ]
    return _csv(header.split(","), rows)


def plain_csv(buckets: Sequence[Bucket]) -> str:
    """date,model,input,cached,output."""
    rows = [(b.start.date(), b.model, b.fresh + b.cached, b.cached, b.output) for b in buckets]
    return _csv(["date", "model", "input", "cached", "output"], rows)


def prometheus(buckets: Sequence[Bucket]) -> str:
    """An answer of /api/v1/query_range to the documented query."""
    series = []
    for model in sorted({b.model for b in buckets}):
        mine = [b for b in buckets if b.model == model]
        for kind, tokens in (
            ("input", [b.fresh + b.cached for b in mine]),
            ("cached", [b.cached for b in mine]),
            ("output", [b.output for b in mine]),
        ):
            values = [[(b.start + b.width).timestamp(), str(n)] for b, n in zip(mine, tokens, strict=True)]
            series.append({"metric": {"model": model, "tokens": kind}, "values": values})
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}})


OPENAI_CSV = [
    *("start_time", "end_time", "start_time_iso", "end_time_iso", "project_id", "num_model_requests", "user_id"),
    *("api_key_id", "model", "batch", "service_tier", "input_tokens", "output_tokens", "input_cached_tokens"),
    *("input_uncached_tokens", "input_text_tokens", "output_text_tokens", "input_cached_text_tokens"),
    *("input_audio_tokens", "input_cached_audio_tokens", "output_audio_tokens"),
    *("input_image_tokens", "input_cached_image_tokens", "output_image_tokens"),
]
"""The columns of OpenAI's dashboard."""


def openai_csv(buckets: Sequence[Bucket]) -> str:
    """OpenAI's dashboard: completions_usage_….csv, with counts as it writes them."""
    rows: list[list[Any]] = []
    for b in buckets:
        given = b.fresh + b.cached
        counts = (given, b.output, b.cached, b.fresh, b.fresh, b.output, b.cached, 0, 0, 0, 0, 0, 0)
        group = ("proj_x", "5.0", "user-x", "key_x", b.model, "FALSE", "default")
        rows.append([*_times(b.start, b.width), *group, *(f"{n}.0" for n in counts)])
    return _csv(OPENAI_CSV, rows)


def _times(start: datetime, width: timedelta) -> list[Any]:
    end = start + width
    return [int(start.timestamp()), int(end.timestamp()), start.isoformat(), end.isoformat()]


def openrouter_csv(buckets: Sequence[Bucket]) -> str:
    """OpenRouter's log of generations, one a bucket."""
    header = ["generation_id", "created_at", "cost_total", "tokens_prompt", "tokens_completion", "tokens_reasoning"]
    rows = [
        (f"gen-{n}", f"{b.start:%Y-%m-%d %H:%M:%S}.713", "0.01", b.fresh + b.cached, b.output, 0, b.cached, b.model)
        for n, b in enumerate(buckets)
    ]
    return _csv([*header, "tokens_cached", "model_permaslug"], rows)


def openrouter_activity(buckets: Sequence[Bucket]) -> str:
    """OpenRouter's /api/v1/activity, which does not tell what was cached."""
    rows = [
        {
            "date": str(b.start.date()),
            "model": b.model,
            "model_permaslug": f"{b.model}-2026",
            "endpoint_id": "an id",
            "provider_name": "A provider",
            "usage": 0.015,
            "byok_usage_inference": 0.012,
            "requests": 5,
            "prompt_tokens": b.fresh + b.cached,
            "completion_tokens": b.output,
            "reasoning_tokens": 1,
        }
        for b in buckets
    ]
    return json.dumps({"data": rows})


def bedrock(buckets: Sequence[Bucket]) -> str:
    """Bedrock's model invocation logs, an invocation a bucket; a third of the fresh input was written to a cache."""
    return "".join(
        json.dumps(
            {
                "schemaType": "ModelInvocationLog",
                "schemaVersion": "1.0",
                "timestamp": f"{b.start:%Y-%m-%dT%H:%M:%SZ}",
                "accountId": "an account",
                "region": "us-east-1",
                "requestId": f"r-{n}",
                "operation": "ConverseStream",
                "modelId": f"arn:aws:bedrock:us-east-1::foundation-model/{b.model}",
                "input": {
                    "inputContentType": "application/json",
                    "inputTokenCount": b.fresh - b.fresh // 3,
                    "cacheReadInputTokenCount": b.cached,
                    "cacheWriteInputTokenCount": b.fresh // 3,
                },
                "output": {"outputBodyJson": {"usage": {"outputTokens": b.output}}, "outputTokenCount": b.output},
            }
        )
        + "\n"
        for n, b in enumerate(buckets)
    )


def azure(buckets: Sequence[Bucket]) -> str:
    """An answer of Azure Monitor, a series for each deployment; no metric tells what was cached."""
    sides: dict[str, Callable[[Bucket], int]] = {
        "ProcessedPromptTokens": lambda b: b.fresh + b.cached,
        "GeneratedTokens": lambda b: b.output,
        "TokenTransaction": lambda b: b.total,
    }
    value = [
        {
            "id": f"/subscriptions/x/providers/Microsoft.Insights/metrics/{name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": name, "localizedValue": name},
            "unit": "Count",
            "timeseries": [
                {
                    "metadatavalues": [{"name": {"value": "modeldeploymentname"}, "value": model}],
                    "data": [
                        {"timeStamp": f"{b.start:%Y-%m-%dT%H:%M:%SZ}", "total": float(tokens(b))}
                        for b in buckets
                        if b.model == model
                    ],
                }
                for model in sorted({b.model for b in buckets})
            ],
        }
        for name, tokens in sides.items()
    ]
    interval = "P1D" if buckets[0].width > timedelta(hours=1) else "PT1H"
    times = f"{buckets[0].start:%Y-%m-%dT%H:%M:%SZ}/{buckets[-1].start:%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps({"cost": 0, "timespan": times, "interval": interval, "value": value, "namespace": "x"})


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _by_time(buckets: Sequence[Bucket]) -> list[tuple[tuple[datetime, timedelta], list[Bucket]]]:
    groups: dict[tuple[datetime, timedelta], list[Bucket]] = {}
    for b in buckets:
        groups.setdefault((b.start, b.width), []).append(b)
    return list(groups.items())
