"""What a result of OpenAI's completions usage is made of, of the API as of the dashboard's CSV.

Two schemas. The old one counts text in `input_tokens` and `output_tokens`, cached included, and audio beside them. The
new one counts text, audio and images in both, and says how many were which: `input_text_tokens` and its like without
what was cached, which `input_cached_text_tokens` and its like hold. A row is of the new one where it has these keys
and its sum holds. Read: the field descriptions of OpenAI's API document 2.3.0, as in openai-client-base 0.12.0 (the
old one) and 0.16.0 (the new one), and in openai-ruby's admin models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cost_guard.scenario.usage import TEXT, Traffic
from scripts.crossover.usage.record import Place, count, split

BATCH_UNKNOWN = (
    "batch jobs, which cost half and wait, cannot be told from other requests and are counted with them; export with "
    "group_by=batch to tell them apart"
)
APART: tuple[tuple[Traffic, tuple[str, str, str]], ...] = (
    ("audio", ("input_audio_tokens", "input_cached_audio_tokens", "output_audio_tokens")),
    ("images", ("input_image_tokens", "input_cached_image_tokens", "output_image_tokens")),
)
"""What else is told apart, and the keys of its fresh, cached and output tokens."""


@dataclass(frozen=True, slots=True)
class TokenPart:
    """Tokens of one traffic."""

    traffic: Traffic
    fresh: int
    cached: int
    output: int


def parts(result: Mapping[str, Any], batch: bool, place: Place) -> Iterator[TokenPart]:
    """The text of a result, and what else it has. Raises BadExport."""
    given = count(result, "input_tokens", place, required=True)
    output = count(result, "output_tokens", place, required=True)
    cached = count(result, "input_cached_tokens", place)
    others = [TokenPart(traffic, *counts) for traffic, keys in APART if any(counts := _counts(result, keys, place))]
    beside = sum(other.fresh + other.cached for other in others)
    if (text := _count(result, "input_text_tokens", place)) is not None:
        cached = _count(result, "input_cached_text_tokens", place) or cached - sum(other.cached for other in others)
        if given >= text + cached + beside:  # so its input includes them
            given -= beside
            output -= sum(other.output for other in others)
    if min(cached, output) < 0:
        raise place.bad("has more audio and image tokens than tokens")
    fresh, cached = split(given, cached, place, "input_cached_tokens")
    yield TokenPart("batch" if batch else TEXT, fresh, cached, output)
    yield from others


def _count(result: Mapping[str, Any], key: str, place: Place) -> int | None:
    """None where the schema, or the row, does not have it."""
    return count(result, key, place) if result.get(key) not in (None, "") else None


def _counts(result: Mapping[str, Any], keys: Iterable[str], place: Place) -> list[int]:
    return [_count(result, key, place) or 0 for key in keys]
