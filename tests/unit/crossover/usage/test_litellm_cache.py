"""LiteLLM's three conventions of `prompt_tokens` tell one traffic alike, and the import says which it found.

A request sends F fresh tokens, of them W written to a cache, and reads R: `prompt_tokens` is F + R,
F − W + R, or F − W.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.crossover.usage import traffic

Imported = Callable[..., tuple[int, str]]
DAYS = range(30, 0, -1)
FRESH, WRITTEN, READ, OUTPUT = 900, 600, 500, 70
HOLDS: dict[str, Callable[[int, int, int], int]] = {
    "both": lambda fresh, written, read: fresh + read,
    "reads": lambda fresh, written, read: fresh - written + read,
    "neither": lambda fresh, written, read: fresh - written,
}
"""What prompt_tokens is, by what it holds of a cache."""


def log(
    holds: str, per_hour: tuple[tuple[int, int, int], ...], call_type: str = "anthropic_messages", **more: Any
) -> list[dict[str, Any]]:
    """Requests (fresh with what was written, written, read) of each hour of thirty days."""
    return [
        {
            "request_id": f"{call_type}-{bucket.start.timestamp()}-{n}",
            "call_type": call_type,
            "custom_llm_provider": "anthropic",
            "startTime": f"{bucket.start:%Y-%m-%dT%H:%M:%SZ}",
            "model": "claude",
            "prompt_tokens": HOLDS[holds](fresh, written, read),
            "completion_tokens": OUTPUT,
            "metadata": {
                "usage_object": {"cache_read_input_tokens": read, "cache_creation_input_tokens": written},
            },
            **more,
        }
        for bucket in traffic.hourly(DAYS, lambda back, hour: (1, 0, 0))
        for n, (fresh, written, read) in enumerate(per_hour)
    ]


def measured(imported: Imported, rows: list[dict[str, Any]], *options: str) -> dict[str, Any]:
    code, output = imported({"e.jsonl": "\n".join(map(json.dumps, rows))}, "--json", *options)
    assert code == 0, output
    document: dict[str, Any] = json.loads(output)
    return document


PROVES, DOUBTED, PLAIN = (FRESH, WRITTEN, 5000), (FRESH, 200, 100), (FRESH, 0, 0)
"""More read than sent; less; no cache at all."""


@pytest.mark.parametrize("holds", HOLDS)
def test_every_convention_tells_the_same_traffic(imported: Imported, holds: str) -> None:
    """Also of requests that could be of any: those of their hour prove it, be it before or after them."""
    requests = (DOUBTED, PROVES, PLAIN, DOUBTED)
    found = measured(imported, log(holds, requests))
    fresh, read = sum(f for f, _, _ in requests), sum(r for _, _, r in requests)
    total = fresh + read + OUTPUT * len(requests)
    assert found["tokensPerMonth"] == round(24 * total * 730 / 24)
    assert found["cachedShare"] == pytest.approx(read / (fresh + read), abs=1e-6)
    assert found["peakToMean"] == 1  # what is added falls into its own hour
    told = [note for note in found["notes"] if "prompt_tokens" in note]
    assert len(told) == (0 if holds == "both" else 1)


def test_what_was_decided_is_told(imported: Imported) -> None:
    """Call type, provider, what is left out, the row that proves it, and how much that adds: 300 of the doubted row."""
    (note,) = measured(imported, log("neither", (DOUBTED, PROVES)))["notes"]
    assert note.startswith(
        "litellm: prompt_tokens of anthropic_messages (anthropic) leaves out what was read from and written to a "
        "cache, on 2026-10-23, 2026-10-24, 2026-10-25, 2026-10-26, 2026-10-27 and 25 more: e.jsonl:2 proves it; 1,440 "
        "rows are read so, which adds 216k tokens"
    )
    (note,) = measured(imported, log("reads", ((FRESH, WRITTEN, 200), DOUBTED)))["notes"]
    assert "leaves out what was written to a cache" in note
    assert "adds 144k tokens" in note


def test_the_row_of_litellm_s_own_issue_is_no_longer_refused(imported: Imported) -> None:
    """Public bug 13: 31 prompt tokens beside 2,455 that were read: 2,486 were sent."""
    rows = [
        {"request_id": str(hour), "startTime": f"2026-11-21T{hour:02}:00:00Z", "model": "claude", "prompt_tokens": 31,
         "completion_tokens": 467, "metadata": {"usage_object": {"cache_read_input_tokens": 2455}}}
        for hour in range(24)
    ]  # fmt: skip
    found = measured(imported, rows, "--forecast")
    assert found["tokensPerMonth"] == (31 + 2455 + 467) * 730


def test_call_types_are_decided_each_by_itself(imported: Imported) -> None:
    """What anthropic_messages proves says nothing of acompletion."""
    rows = log("neither", (PROVES,)) + log("both", (DOUBTED,), "acompletion")
    found = measured(imported, rows)
    assert found["tokensPerMonth"] == round((FRESH + 5000 + OUTPUT + FRESH + 100 + OUTPUT) * 730)


def test_a_release_that_counts_otherwise_changes_its_own_days_alone(imported: Imported) -> None:
    """The first half of the month leaves reads out, the second holds them."""
    old, new = log("neither", (DOUBTED, PROVES)), log("both", (DOUBTED, PROVES))
    found = measured(imported, [*old[:720], *new[720:]])
    assert found["tokensPerMonth"] == round((2 * FRESH + 100 + 5000 + 2 * OUTPUT) * 730)
    assert "and 10 more" in found["notes"][0]  # of 15 days, five are named


@pytest.mark.parametrize("holds", HOLDS)
def test_the_daily_table_is_read_so_too(imported: Imported, holds: str) -> None:
    header = "date,api_key,model,custom_llm_provider,prompt_tokens,completion_tokens,cache_read_input_tokens"
    lines = [f"{header},cache_creation_input_tokens"]
    for bucket in traffic.daily(DAYS, lambda back: (1, 0, 0)):
        for key, (fresh, written, read) in (("a", DOUBTED), ("b", PROVES)):
            prompt = HOLDS[holds](fresh, written, read)
            lines.append(f"{bucket.start.date()},{key},claude,anthropic,{prompt},{OUTPUT},{read},{written}")
    code, output = imported({"e.csv": "\n".join(lines)}, "--json")
    assert (code, json.loads(output)["tokensPerMonth"]) == (0, round((2 * FRESH + 5100 + 2 * OUTPUT) * 730 / 24))


def test_models_are_chosen_among_what_is_added(imported: Imported) -> None:
    """What a row lacks is its own model's."""
    rows = log("neither", (DOUBTED, PROVES)) + log("neither", (PROVES,), model="other", call_type="x")
    found = measured(imported, rows, "--models", "claude")
    assert found["tokensPerMonth"] == round((2 * FRESH + 5100 + 2 * OUTPUT) * 730)
