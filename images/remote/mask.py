"""What a machine says, as it may be shown: without secrets, and without the colours of a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SHORTEST_MASKED = 4
"""Shorter secrets are not masked: doing so would blank out ordinary words and give the secret away by its gaps."""


class Mask:
    """Replaces secrets in a text. A secret of several lines (a PEM key) is masked line by line too."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts: set[str] = set()
        for secret in secrets:
            parts.add(secret.strip())
            parts.update(line.strip() for line in secret.splitlines() if not line.startswith("-----"))
        self._parts = sorted((p for p in parts if len(p) >= SHORTEST_MASKED), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text with each secret written as ***."""
        for part in self._parts:
            text = text.replace(part, "***")
        return text


def colourless(line: str) -> str:
    """vLLM's log has colours, and nvidia-smi's topology (535 and 550), into a pipe too."""
    return _COLOUR.sub("", line)
