"""Embeddings, audio, images and batch jobs are no LLM tokens unless somebody asks, and are shown either way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cost_guard.scenario.usage import parse_usage
from scripts.crossover.usage.readers.openai_parts import parts
from scripts.crossover.usage.record import BadExport, Place
from scripts.crossover.usage.traffic import by_name
from tests.unit.crossover.usage import traffic

Imported = Callable[..., tuple[int, str]]
MONTH = range(30, 0, -1)
HOURLY = traffic.hourly(MONTH, lambda back, hour: (90, 30, 50))
DAILY = traffic.daily(MONTH, lambda back: (900, 300, 500))
PLACE = Place("e.json", 1)


def month(a_day: int) -> int:
    """Tokens per month of so many a day."""
    return round(a_day * 730 / 24)


def measured(imported: Imported, files: dict[str, str], *options: str) -> dict[str, Any]:
    code, output = imported(files, "--json", *options)
    assert code == 0, output
    document: dict[str, Any] = json.loads(output)
    return document


def calls(call_type: str, **changes: Any) -> str:
    """LiteLLM's log, with every second request of this type."""
    rows = [json.loads(line) for line in traffic.litellm_logs(HOURLY).splitlines()]
    for row in rows[::2]:
        row.update(call_type=call_type, **changes)
    return "\n".join(map(json.dumps, rows))


@pytest.mark.parametrize(
    ("call_type", "told"),
    [
        ("aembedding", "embeddings"),
        ("embedding", "embeddings"),
        ("atranscription", "audio"),
        ("aspeech", "audio"),
        ("aimage_generation", "images"),
        ("acreate_batch", "batch"),
        ("arerank", "other"),
        ("amoderation", "other"),
    ],
)
def test_a_call_type_of_litellm_tells(imported: Imported, call_type: str, told: str) -> None:
    """Half of 170 tokens × 24 hours a day are left out, and shown; half embeddings were once 85.7 % input."""
    found = measured(imported, {"e.jsonl": calls(call_type)})
    assert found["tokensPerMonth"] == month(12 * 170)
    assert (found["counted"], found["leftOut"]) == (["text"], {told: month(12 * 170)})


def test_what_is_asked_for_is_counted(imported: Imported) -> None:
    found = measured(imported, {"e.jsonl": calls("aembedding")}, "--count", "text,embeddings")
    assert (found["tokensPerMonth"], found["leftOut"]) == (month(24 * 170), {})
    assert found["counted"] == ["text", "embeddings"]


def test_embeddings_alone_may_be_measured(imported: Imported) -> None:
    found = measured(imported, {"e.jsonl": calls("aembedding")}, "--count", "embeddings")
    assert found["leftOut"] == {"text": month(12 * 170)}


def test_nothing_to_count_says_what_there_is(imported: Imported) -> None:
    text = calls("aembedding").replace("acompletion", "aembedding")
    code, output = imported({"e.jsonl": text})
    assert (code, "there is only embeddings, which --count counts" in output) == (3, True)


def test_audio_and_images_of_a_chat_are_told_by_its_details(imported: Imported) -> None:
    """20 of the 90 fresh tokens are audio, 10 an image, 7 of the 50 output audio."""
    details = {
        "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 20, "image_tokens": 10},
        "completion_tokens_details": {"audio_tokens": 7},
    }
    found = measured(imported, {"e.jsonl": calls("acompletion", metadata={"usage_object": details})})
    assert found["leftOut"] == {"audio": month(12 * 27), "images": month(12 * 10)}
    assert found["tokensPerMonth"] == month(12 * 170 + 12 * (170 - 37))


def test_an_endpoint_of_litellm_s_days_tells(imported: Imported) -> None:
    lines = traffic.litellm_daily(DAILY).splitlines()
    rows = [f"{line},{'endpoint' if n == 0 else '/v1/embeddings'}" for n, line in enumerate(lines)]
    other = traffic.litellm_daily(DAILY).replace(",m,", ",other,")
    found = measured(imported, {"a.csv": "\n".join(rows), "b.csv": other})
    assert (found["tokensPerMonth"], found["leftOut"]) == (month(1700), {"embeddings": month(1700)})


def openai(**changes: Any) -> str:
    """A page whose results have these values, too."""
    page = json.loads(traffic.openai(DAILY))
    for bucket in page["data"]:
        bucket["results"][0].update(changes)
    return json.dumps(page)


def test_batch_jobs_of_openai_are_told_apart(imported: Imported) -> None:
    """They cost half and wait: at full price and in the peak they would flatter self-hosting."""
    both = json.loads(traffic.openai(DAILY))
    for bucket, job in zip(both["data"], json.loads(openai(batch=True, input_tokens=5000))["data"], strict=True):
        bucket["results"] += job["results"]
    found = measured(imported, {"e.json": json.dumps(both)})
    assert (found["tokensPerMonth"], found["leftOut"]) == (month(1700), {"batch": month(5500)})
    counted = measured(imported, {"e.json": json.dumps(both)}, "--count", "text,batch")
    assert counted["tokensPerMonth"] == month(7200)
    assert any("batch jobs are counted" in note for note in counted["notes"])


def test_where_openai_does_not_tell_batch_jobs_it_is_said(imported: Imported) -> None:
    found = measured(imported, {"e.json": openai(batch=None)})
    assert found["tokensPerMonth"] == month(1700)
    assert any("export with group_by=batch to tell them apart" in note for note in found["notes"])


def test_a_tier_of_anthropic_tells_batch_jobs(imported: Imported) -> None:
    page = json.loads(traffic.anthropic(DAILY))
    for bucket in page["data"]:
        result = bucket["results"][0]
        bucket["results"] = [{**result, "service_tier": "standard"}, {**result, "service_tier": "batch"}]
    found = measured(imported, {"e.json": json.dumps(page)})
    assert (found["tokensPerMonth"], found["leftOut"]) == (month(1700), {"batch": month(1700)})


@pytest.mark.parametrize(("kind", "told"), [("embeddings", "embeddings"), ("moderations", "other")])
def test_other_usage_of_openai_that_counts_tokens(imported: Imported, kind: str, told: str) -> None:
    text = openai(object=f"organization.usage.{kind}.result")
    found = measured(imported, {"a.json": text, "b.json": traffic.openai(DAILY)})
    assert (found["tokensPerMonth"], found["leftOut"]) == (month(1700), {told: month(1200)})


NEW = {
    "input_tokens": 1000, "input_cached_tokens": 340, "output_tokens": 200, "input_uncached_tokens": 660,
    "input_text_tokens": 500, "input_cached_text_tokens": 300, "output_text_tokens": 150,
    "input_audio_tokens": 100, "input_cached_audio_tokens": 40, "output_audio_tokens": 50,
    "input_image_tokens": 60, "input_cached_image_tokens": 0, "output_image_tokens": 0,
}  # fmt: skip
"""Of 2026: all modalities are in the sums, the parts hold what was not cached."""
OLD = {
    "input_tokens": 800, "input_cached_tokens": 300, "output_tokens": 150,
    "input_audio_tokens": 140, "output_audio_tokens": 50,
}  # fmt: skip
"""Until late 2025: text in the sums, audio beside them, cached included."""


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (NEW, {"text": (500, 300, 150), "audio": (100, 40, 50), "images": (60, 0, 0)}),
        (OLD, {"text": (500, 300, 150), "audio": (140, 0, 50)}),
        ({**NEW, "input_tokens": 800, "output_tokens": 150}, None),
        ({"input_tokens": 800, "output_tokens": 150}, {"text": (800, 0, 150)}),
        ({**NEW, "input_tokens": 1100}, {"text": (600, 300, 150), "audio": (100, 40, 50), "images": (60, 0, 0)}),
    ],
    ids=["new", "old", "new keys, text in the sums", "text alone", "100 written to the cache"],
)
def test_openai_s_modalities_in_either_schema(
    result: dict[str, int], told: dict[str, tuple[int, int, int]] | None
) -> None:
    """The same traffic in the schema of 2026 and in the one before."""
    told = told or {"text": (500, 300, 150), "audio": (100, 40, 50), "images": (60, 0, 0)}
    assert {part.traffic: (part.fresh, part.cached, part.output) for part in parts(result, False, PLACE)} == told


def test_more_audio_than_tokens_is_refused() -> None:
    with pytest.raises(BadExport, match="has more audio and image tokens than tokens"):
        list(parts({**NEW, "output_audio_tokens": 201}, False, PLACE))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("text-embedding-3-small", "embeddings"),
        ("amazon.titan-embed-text-v2:0", "embeddings"),
        ("whisper-1", "audio"),
        ("gpt-4o-mini-tts", "audio"),
        ("gpt-4o-transcribe", "audio"),
        ("gpt-image-1", "images"),
        ("dall-e-3", "images"),
        ("stability.stable-image-core-v1:1", "images"),
        ("cohere.rerank-v3-5:0", "other"),
        ("gpt-4o-audio-preview", "text"),
        ("anthropic.claude-sonnet-4-6", "text"),
        ("meta-llama/Llama-3.3-70B-Instruct", "text"),
        ("Llama-4-Scout-17B-16E-Instruct", "text"),
    ],
)
def test_a_model_s_name_tells_where_the_export_does_not(model: str, told: str) -> None:
    """A chat model that hears answers text too, so its name tells nothing."""
    assert by_name(model) == told


def test_a_name_counts_in_any_format(imported: Imported) -> None:
    files = {
        "e.csv": traffic.plain_csv([*DAILY, *traffic.daily(MONTH, lambda back: (70, 0, 0), "text-embedding-3-large")])
    }
    found = measured(imported, files)
    assert (found["tokensPerMonth"], found["leftOut"]) == (month(1700), {"embeddings": month(70)})


def test_the_file_and_the_table_say_what_was_left_out(imported: Imported) -> None:
    code, output = imported({"e.jsonl": calls("aembedding")})
    assert (code, "embeddings 62.05k/month" in output) == (0, True)


@pytest.mark.parametrize("count", ["words", "", "text,"])
def test_what_cannot_be_counted_is_a_wrong_call(imported: Imported, count: str) -> None:
    code, output = imported({"e.jsonl": calls("aembedding")}, "--count", count)
    assert (code, "--count" in output) == (1, True)


def test_a_file_that_counts_and_leaves_out_the_same_is_refused(imported: Imported) -> None:
    found = measured(imported, {"e.jsonl": calls("aembedding")})
    found = {key: value for key, value in found.items() if key not in ("p10", "p90", "notes")}
    assert parse_usage(found).left_out == {"embeddings": month(12 * 170)}
    with pytest.raises(Exception, match="leftOut: text is counted, too"):
        parse_usage({**found, "leftOut": {"text": 1}})
