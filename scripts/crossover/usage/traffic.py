"""What tokens are, where the export does not say it and the model's name does."""

from __future__ import annotations

import re
from functools import lru_cache

from cost_guard.scenario.usage import TEXT, Traffic

NAMES: tuple[tuple[Traffic, re.Pattern[str]], ...] = (
    ("embeddings", re.compile(r"embed")),
    ("audio", re.compile(r"whisper|transcribe|(^|[^a-z])(tts|speech)([^a-z]|$)")),
    ("images", re.compile(r"dall-e|gpt-image|stable-(diffusion|image)|titan-image|nova-canvas|imagen")),
    ("other", re.compile(r"rerank|moderation")),
)
"""Parts of the names under which such models are sold, in lower case."""


@lru_cache(maxsize=1024)
def by_name(model: str) -> Traffic:
    """The traffic of a model by its name; text where the name tells nothing."""
    return next((traffic for traffic, pattern in NAMES if pattern.search(model.lower())), TEXT)
