"""A file that is no usage export is called by its name, with what to export instead."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from scripts.crossover.usage.strangers import STRANGERS
from tests.unit.crossover.usage import traffic

Imported = Callable[..., tuple[int, str]]
DAILY = traffic.daily(range(30, 0, -1), lambda back: (900, 300, 500))

FOUND = {
    "CUR": (
        "identity_line_item_id,line_item_usage_start_date,line_item_usage_type,line_item_usage_amount\n",
        ("AWS' Cost and Usage Report", "Bedrock's model invocation logs"),
    ),
    "the older CUR": ("identity/LineItemId,lineItem/UsageType\n", ("AWS' Cost and Usage Report", "Bedrock's")),
    "Anthropic's console": (
        "usage_date_utc,model_version,api_key,workspace,usage_type,usage_input_tokens_no_cache,usage_output_tokens\n",
        ("a CSV of Anthropic's console", "/v1/organizations/usage_report/messages with bucket_width=1h"),
    ),
    "Langfuse's observations": (
        '[{"id": "o", "traceId": "t", "type": "GENERATION", "startTime": "2026-11-01T00:00:00Z", "usageDetails": {}}]',
        ("an export of Langfuse", "date,model,input,cached,output"),
    ),
    "Langfuse's blob storage": (
        "id,trace_id,start_time,end_time,usage_details,total_cost\n",
        ("an export of Langfuse", "the gateway counted itself"),
    ),
    "Helicone, CSV": (
        "request_id,response_id,request_created_at,prompt_tokens,completion_tokens\n",
        ("an export of Helicone", "the gateway counted itself"),
    ),
    "Helicone, JSON Lines": (
        '{"request_id": "r", "request_created_at": "2026-11-01 00:00:00", "prompt_tokens": 1, "completion_tokens": 1}',
        ("an export of Helicone", "the gateway counted itself"),
    ),
    "Gemini": (
        '{"candidates": [], "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 5}}',
        ("answers of Gemini's API", "Google exports none by tokens"),
    ),
    "LiteLLM's spend report": (
        '[{"group_by_day": "2026-11-01", "teams": [{"team_name": "a", "total_spend": 0.1, "metadata": []}]}]',
        ("LiteLLM's /global/spend/report", "LiteLLM_SpendLogs"),
    ),
    "LiteLLM's activity": (
        '{"results": [{"date": "2026-11-01", "metrics": {"prompt_tokens": 1}, "breakdown": {}}]}',
        ("LiteLLM's /user/daily/activity", "LiteLLM_SpendLogs"),
    ),
    "OpenAI's dashboard's costs": (
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item\n",
        ("the export of costs of OpenAI's dashboard", "export its usage of completions"),
    ),
    "OpenAI's old endpoint": (
        '{"object": "list", "data": [{"aggregation_timestamp": 1, "n_context_tokens_total": 5}]}',
        ("OpenAI's usage endpoint until 2024", "/v1/organization/usage/completions"),
    ),
    "Google's costs": (
        "Service description,Service ID,SKU description,Cost (kr)\n",
        ("a cost export of Google Cloud", "date,model,input,cached,output"),
    ),
    "Azure's costs": ("SubscriptionId,MeterCategory,Quantity\n", ("a cost export of Azure", "az monitor metrics list")),
    "AzureMetrics": ("TimeGenerated,MetricName,Total\n", ("Azure's table AzureMetrics", "interval PT1H")),
    "CloudWatch": (
        '{"Label": "InputTokenCount", "Datapoints": [{"Timestamp": "2026-11-01T00:00:00Z", "Sum": 1.0}]}',
        ("statistics of CloudWatch", "Bedrock's model invocation logs"),
    ),
    "a scrape": (
        '# HELP vllm:prompt_tokens_total Number of prefill tokens.\nvllm:prompt_tokens_total{model_name="m"} 5\n',
        ("a scrape of /metrics", "/api/v1/query_range"),
    ),
    "TSV": (traffic.plain_csv(DAILY).replace(",", "\t"), ("is TSV", "they must be by ','")),
    "a stranger with tabs": ("usage_date_utc\tmodel_version\n", ("a CSV of Anthropic's console", "bucket_width=1h")),
}


@pytest.mark.parametrize(("text", "said"), FOUND.values(), ids=FOUND)
def test_a_stranger_is_named_with_what_to_export_instead(imported: Imported, text: str, said: tuple[str, str]) -> None:
    code, output = imported({"e.txt": text})
    assert (code, len(output.splitlines())) == (3, 1)
    assert output.startswith("cannot evaluate: e.txt:1: ")
    assert all(part in output for part in said)
    assert "did you mean" not in output


def test_every_stranger_is_among_them() -> None:
    """But for the scrape and TSV, which are told by their form."""
    told = [name for _, (name, _) in FOUND.values()]
    assert [stranger.what for stranger in STRANGERS if not any(name in stranger.what for name in told)] == []


def test_a_prompt_that_quotes_a_stranger_makes_none(imported: Imported) -> None:
    """What stands behind a format's own sign is content: a log may hold whatever was said."""
    rows = [
        json.loads(line) for line in traffic.litellm_logs(traffic.hourly([2, 1], lambda *_: (9, 3, 5))).splitlines()
    ]
    for row in rows:
        row["response"] = {"usageMetadata": {"promptTokenCount": 8}, "traceId": "t", "usageDetails": {}}
    code, _ = imported({"e.jsonl": "\n".join(map(json.dumps, rows))}, "--forecast")
    assert code == 0
