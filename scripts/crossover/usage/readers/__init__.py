"""One module a format, each with `read(export, zone)`; what an export looks like tells which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo

from scripts.crossover.usage.readers import anthropic, daily_csv, litellm, openai, prometheus
from scripts.crossover.usage.record import BadExport, Empty, Place, Record, near
from scripts.crossover.usage.stream import Export

Read = Callable[[Export, tzinfo], Iterator[Record | Empty]]

READERS: dict[str, Read] = {
    "openai": openai.read,
    "anthropic": anthropic.read,
    "litellm": litellm.read,
    "prometheus": prometheus.read,
    "csv": daily_csv.read,
}
GATEWAYS = frozenset({"litellm", "prometheus", "csv"})
"""What they count, a provider's own report may count too."""

_JSON_SIGNS = (
    ("prometheus", re.compile(r'"resultType"|"errorType"')),
    ("litellm", re.compile(r'"(startTime|prompt_tokens)"')),
    ("anthropic", re.compile(r'"starting_at"')),
    ("openai", re.compile(r'"start_time"')),
)


_WORDS = {
    "openai": {"start_time", "end_time", "results", "input_tokens", "output_tokens"},
    "anthropic": {"starting_at", "ending_at", "results", "uncached_input_tokens", "output_tokens"},
    "litellm": {"startTime", "request_id", "prompt_tokens", "completion_tokens"},
    "prometheus": {"resultType", "metric", "values"},
    "csv": {*daily_csv.COLUMNS},
}
"""Keys or columns by which a person tells a format, to name the one that was likely meant."""


def format_of(export: Export) -> str:
    """A key of READERS. Raises BadExport where nothing known shows."""
    start = export.start.lstrip()
    if start[0] in "{[":
        signs = [(found.start(), name) for name, sign in _JSON_SIGNS if (found := sign.search(start))]
        if signs:
            return min(signs)[1]
        raise _untold(export, "key", re.findall(r'"([^"\\]{1,40})"\s*:', start))
    first = start.splitlines()[0]
    for separator in () if "," in first else (";", "\t"):
        if separator in first:
            raise _first(export).bad(f"the columns are separated by {separator!r}, they must be by ','")
    header = [column.strip().strip('"') for column in first.split(",")]
    if {"prompt_tokens", "startTime"} & {*header}:
        return "litellm"
    if {"date", "input", "output"} <= {*header}:
        return "csv"
    raise _untold(export, "column", header)


def _untold(export: Export, what: str, names: Sequence[str]) -> BadExport:
    """Names the slip, or the format that is nearest to the export's keys or columns."""
    known = {
        name: words for name, words in _WORDS.items() if name == "litellm" or (name == "csv") == (what == "column")
    }
    nearest = max(known, key=lambda name: sum(word in names or near(word, names) is not None for word in known[name]))
    missing = sorted(known[nearest] - {*names})
    if what == "key" and "error" in names[:1]:
        return _first(export).bad("error: is an API's refusal, no export; ask it again")
    for word in missing:
        if slip := near(word, names):
            line = 1 + export.start.count("\n", 0, export.start.find(slip))
            return Place(export.name, line, slip).bad(f"unknown {what}; did you mean {word}, as in {nearest}?")
    told = f"; nearest is {nearest}, but there is no {', '.join(missing)}" if len(missing) < len(known[nearest]) else ""
    return _first(export).bad(f"the format cannot be told; name it with --format: {', '.join(READERS)}{told}")


def _first(export: Export) -> Place:
    return Place(export.name, 1)
