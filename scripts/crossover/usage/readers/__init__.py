"""One module a format, each with `read(export, zone)`; what an export looks like tells which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import tzinfo

from scripts.crossover.usage.readers import anthropic, daily_csv, litellm, openai, prometheus
from scripts.crossover.usage.record import Empty, Place, Record
from scripts.crossover.usage.stream import Export

Read = Callable[[Export, tzinfo], Iterator[Record | Empty]]

READERS: dict[str, Read] = {
    "openai": openai.read,
    "anthropic": anthropic.read,
    "litellm": litellm.read,
    "prometheus": prometheus.read,
    "csv": daily_csv.read,
}
GATEWAYS = frozenset({"litellm", "prometheus"})
"""What they count, a provider's own report counts too."""

_JSON_SIGNS = (
    ("prometheus", re.compile(r'"resultType"|"errorType"')),
    ("litellm", re.compile(r'"(startTime|prompt_tokens)"')),
    ("anthropic", re.compile(r'"starting_at"')),
    ("openai", re.compile(r'"start_time"')),
)


def format_of(export: Export) -> str:
    """A key of READERS. Raises BadExport where nothing known shows."""
    start = export.start.lstrip()
    if start[0] in "{[":
        signs = [(found.start(), name) for name, sign in _JSON_SIGNS if (found := sign.search(start))]
        if signs:
            return min(signs)[1]
    else:
        header = {column.strip().strip('"') for column in start.splitlines()[0].split(",")}
        if header & {"prompt_tokens", "startTime"}:
            return "litellm"
        if {"date", "input", "output"} <= header:
            return "csv"
    raise Place(export.name, 1).bad(f"the format cannot be told; name it with --format: {', '.join(READERS)}")
