"""Files that people take for usage exports: what they are, and what to export instead.

Told by keys or columns that the format's own export has. Read: AWS' columns of the Cost and Usage Report (line_item_…,
and lineItem/… of the older one); Anthropic's console (a header with rows in public tests of its importers); Langfuse's
field reference of the blob storage export, and its observations API; Helicone's columns of request_response (its data
export); Gemini's `usageMetadata`; LiteLLM's /global/spend/report and /user/daily/activity; OpenAI's dashboard's costs
(header in public tests of its importers) and its usage endpoint until 2024; Google's and Azure's cost exports; Azure's
AzureMetrics table; CloudWatch's statistics.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stranger:
    """A file that counts no tokens that can be imported, or counts them otherwise."""

    what: str
    instead: str
    signs: tuple[frozenset[str], ...]
    """Keys, or columns: it has all of one of these sets."""

    @property
    def words(self) -> str:
        return f"is {self.what}; {self.instead}"

    def keys_in(self, names: Collection[str]) -> frozenset[str]:
        """The first of its sets that is all there, or none."""
        return next((sign for sign in self.signs if sign <= {*names}), frozenset())


COUNTED_BY_ITS_OWN = (
    "import what the provider or the gateway counted itself, or sum it up to a CSV with date,model,input,cached,output"
)
LITELLM_TABLES = "export LiteLLM_SpendLogs (or ask /spend/logs/v2), or the table LiteLLM_DailyUserSpend"
BEDROCK_LOGS = "import Bedrock's model invocation logs"


def _stranger(what: str, instead: str, *signs: str) -> Stranger:
    """Each sign is a set of names, separated by blanks; a name's own blank is written +."""
    return Stranger(
        what, instead, tuple(frozenset(name.replace("+", " ") for name in sign.split(" ")) for sign in signs)
    )


STRANGERS = (
    _stranger(
        "AWS' Cost and Usage Report, which counts money", BEDROCK_LOGS, "line_item_usage_type", "lineItem/UsageType"
    ),
    _stranger(
        "a CSV of Anthropic's console, which knows no hours",
        "ask its API: /v1/organizations/usage_report/messages with bucket_width=1h and group_by[]=model",
        "usage_date_utc",
        "Usage+Date+(UTC)",
    ),
    _stranger(
        "an export of Langfuse",
        COUNTED_BY_ITS_OWN,
        "traceId usageDetails",
        "trace_id usage_details",
        "traceId promptTokens",
        "traceId calculatedTotalCost",
    ),
    _stranger("an export of Helicone", COUNTED_BY_ITS_OWN, "request_created_at"),
    _stranger(
        "answers of Gemini's API (usageMetadata), not a report of usage",
        f"Google exports none by tokens: {COUNTED_BY_ITS_OWN}",
        "usageMetadata",
        "promptTokenCount",
    ),
    _stranger("LiteLLM's /global/spend/report, which sums days and teams", LITELLM_TABLES, "group_by_day"),
    _stranger("LiteLLM's /user/daily/activity, whose sums pages cut in two", LITELLM_TABLES, "metrics breakdown"),
    _stranger(
        "the export of costs of OpenAI's dashboard, which counts money",
        "export its usage of completions (activity) instead, by the hour",
        "amount_value amount_currency",
    ),
    _stranger(
        "an answer of OpenAI's usage endpoint until 2024",
        "ask /v1/organization/usage/completions with bucket_width=1h and group_by=model,batch",
        "n_context_tokens_total",
    ),
    _stranger("a cost export of Google Cloud, which counts money", COUNTED_BY_ITS_OWN, "Service+description"),
    _stranger(
        "a cost export of Azure, which counts money",
        "ask Azure Monitor (az monitor metrics list) for ProcessedPromptTokens and GeneratedTokens by the hour",
        "MeterCategory",
        "meterCategory",
    ),
    _stranger(
        "Azure's table AzureMetrics",
        "ask Azure Monitor itself: az monitor metrics list, aggregation Total, interval PT1H",
        "TimeGenerated MetricName",
    ),
    _stranger("statistics of CloudWatch, a metric each", BEDROCK_LOGS, "Datapoints Label", "MetricDataResults"),
)
SCRAPE = re.compile(r"# (HELP|TYPE) ")
A_SCRAPE = (
    "is a scrape of /metrics, counters at one moment; give the http address of the Prometheus that scrapes it, or save "
    "its answer of /api/v1/query_range"
)


def in_columns(header: Collection[str]) -> Stranger | None:
    """The stranger of a CSV's header, if it is one's."""
    return next((stranger for stranger in STRANGERS if stranger.keys_in(header)), None)


def in_json(text: str) -> Iterator[tuple[int, Stranger]]:
    """Strangers by the start of a JSON text, each with where its first key stands."""
    places: dict[str, int] = {}
    for found in re.finditer(r'"([^"\\]{1,40})"\s*:', text):
        places.setdefault(found[1], found.start())
    for stranger in STRANGERS:
        if keys := stranger.keys_in(places):
            yield min(places[key] for key in keys), stranger
