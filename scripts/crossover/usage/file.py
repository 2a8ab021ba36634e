"""The usage file as text: YAML that says where each number comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cost_guard import wording
from cost_guard.scenario.usage import Usage

PEAKS = {
    "hourly": "99th percentile hour over the mean hour",
    "daily": "assumed from days: busiest day over mean day, as if all fell into 8 hours",
    "asserted": "given with --peak-to-mean",
}


def render(usage: Usage, notes: Sequence[str] = ()) -> str:
    """The file's text; `parse_usage` of it is `usage` again."""
    data = usage.to_inputs()
    low, high = (wording.tokens(volume) for volume in usage.band)
    comments = {
        "tokensPerMonth": f"{wording.tokens(usage.tokens_per_month)}: the mean of {usage.days} full days × 730/24",
        "inputShare": "of all tokens",
        "cachedShare": "of the input",
        "peakToMean": PEAKS[usage.peak_basis],
        "to": "the age of the volume counts from here",
        "volumeSigma": f"log-normal, week-block bootstrap: {low} to {high} (P10 to P90)",
        "perDay": "tokens",
        "peakAtLeast": "what it would be if each day's hours were alike",
        "leftOut": "tokens per month that no number here counts; --count counts them",
        "growth": "of the weeks, with P10 and P90; counts only as workload.growthPerMonth",
    }
    head = ["# Token volume, made by `crossover usage import`. Do not edit it: import again.", *_wrapped(notes)]
    return "\n".join([*head, *(_line(key, value, comments.get(key)) for key, value in data.items()), ""])


def _wrapped(notes: Sequence[str]) -> list[str]:
    return [f"# {note}" for note in notes]


def _line(key: str, value: object, comment: str | None) -> str:
    """A line a key; lists and maps in YAML's flow style, which is JSON."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join([f"{key}:", *(f"  - {_flow(item)}" for item in value)])
    return f"{key}: {_flow(value)}" + (f"  # {comment}" if comment else "")


def _flow(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
