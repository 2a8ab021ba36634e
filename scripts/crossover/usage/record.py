"""What every reader yields, whatever the export's format: tokens normalised to fresh input, cached input, output."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from math import isfinite, nan
from typing import Any

from cost_guard.scenario.usage import TEXT, Traffic
from strict.numbers import shown
from strict.places import told, where
from strict.problems import Problems

MOST_TOKENS = 10**16
"""More in one record is a slip: it is the most that a scenario takes as a whole month."""
MOST_DIGITS = 17
"""Of MOST_TOKENS: what has fewer is less."""
MOST_SHOWN = 40
"""Characters of a refused value."""
ALIKE = 0.8
"""How near a name must be to be taken for a slip, as difflib measures it."""
NO_SLIP = re.compile(
    r"(input|output)(_cached|_uncached|_cache_write)?(_text|_audio|_image)?_tokens"
    r"|(uncached|cache_read|cache_creation|ephemeral_\w+)_input_tokens"
)
"""Near to one another, and each a key of its own in some version of a format."""
LOGGED = timedelta(0)
"""The width of a single request, logged at its start."""


class BadExport(Problems):
    """An export that cannot be used: one line with file, line and key, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    file: str
    line: int
    path: str = ""
    """The keys inside a JSON document, or a CSV column."""

    def __str__(self) -> str:
        return where(self.file, self.line, self.path)

    def at(self, key: str | int) -> Place:
        """The place one key further down."""
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if self.path else key
        return Place(self.file, self.line, self.path + step)

    def bad(self, message: str) -> BadExport:
        return BadExport(told(self.file, self.line, self.path, message))


@dataclass(frozen=True, slots=True)
class Record:
    """Tokens of one bucket, or of one logged request."""

    start: datetime
    """Aware."""
    width: timedelta
    """Of the bucket; LOGGED for a request."""
    model: str | None
    """None where the export is not by model."""
    fresh: int
    cached: int
    output: int
    identity: str
    """What may stand only once: the bucket with what it is grouped by, or the request."""
    place: Place
    traffic: Traffic = TEXT
    """What the tokens are, where the export tells; otherwise the model's name may (traffic.py)."""


@dataclass(frozen=True, slots=True)
class Empty:
    """A bucket without traffic: its time is covered."""

    start: datetime
    width: timedelta
    place: Place


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an API's answer, once it was read."""

    begins: datetime | str
    """What it is known by: its first bucket's start, or its number."""
    awaits: datetime | str | None
    """How the page that it says must follow begins; None where it is the last."""
    place: Place
    """Where it says that more follows."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader decided about an export, and its user must know."""

    text: str


Item = Record | Empty | Page | Told
"""What a reader yields."""


def near(key: str, names: Collection[str]) -> str | None:
    """Which of the names is likely a slip for `key`, if one is. Upper case, _, - and blanks make no difference."""
    return _near(key, tuple(names))


@lru_cache(maxsize=256)
def _near(key: str, names: tuple[str, ...]) -> str | None:
    folded = {_folded(name): name for name in names if not NO_SLIP.fullmatch(name)}
    found = get_close_matches(_folded(key), folded, n=1, cutoff=ALIKE)
    return folded[found[0]] if found else None


def _folded(name: str) -> str:
    return name.lower().translate({ord(sign): None for sign in "_- "})


def refuse_slip(data: Collection[str], key: str, place: Place, what: str = "key") -> None:
    """Raises BadExport where `key` is not among the keys of `data`, and one that looks like it is."""
    if key not in data and (slip := near(key, data)):
        raise place.at(slip).bad(f"unknown {what}; did you mean {key}?")


def count(data: Mapping[str, Any], key: str, place: Place, *, required: bool = False) -> int:
    """The tokens under a key, 0 where it is absent or null. Raises BadExport."""
    value = data.get(key)
    if type(value) is int and 0 <= value <= MOST_TOKENS:  # nearly always; naming its place costs more
        return value
    if type(value) is str and len(value) < MOST_DIGITS and value.isascii() and value.isdigit():  # nearly always in CSV
        return int(value)
    if value is None or value == "":
        refuse_slip(data, key, place)
        if required:
            raise place.bad(f"no {key}; is the format right?")
        return 0
    return whole(value, place.at(key))


def whole(value: object, place: Place) -> int:
    """A count of tokens from a number or a numeric text. Raises BadExport."""
    if isinstance(value, int) and not isinstance(value, bool):
        number: int = value
    else:
        if isinstance(value, bool) or not isinstance(value, float | str):
            raise place.bad(f"must be a count of tokens, got {shown(value, MOST_SHOWN)}")
        try:
            number = int(value)
        except (ValueError, OverflowError):
            number = _from_float(value, place)
        if isinstance(value, float) and number != value:
            raise place.bad(f"must be a whole count of tokens, got {value}{_hint(value)}")
    if number < 0:
        raise place.bad(f"is negative: {number}")
    if number > MOST_TOKENS:
        raise place.bad(f"is absurd: {number:.3g} tokens in one record")
    return number


def _from_float(value: float | str, place: Place) -> int:
    """The count in a text such as 12.0 or 1e6."""
    number = nan
    try:
        number = float(value)
        if number.is_integer():
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise place.bad(f"must be a whole count of tokens, got {shown(value, MOST_SHOWN)}{_hint(number)}")


def _hint(number: float) -> str:
    return "; if it is in thousands or millions, multiply it out" if isfinite(number) else ""


def split(given: int, cached: int, place: Place, words: str) -> tuple[int, int]:
    """(fresh, cached) of an input that includes what was cached. Raises BadExport where it cannot."""
    if cached > given:
        raise place.bad(f"{words}: {cached} cached of {given} input tokens; the input must include what was cached")
    return given - cached, cached


def moment(value: object, place: Place, zone: tzinfo = UTC) -> datetime:
    """An ISO 8601 time or seconds since 1970; a time without an offset is one of `zone`. Raises BadExport."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)
    except (ValueError, OverflowError, OSError):
        pass
    raise place.bad(f"must be a time, as 2026-10-01T00:00:00Z or in seconds since 1970, got {shown(value, MOST_SHOWN)}")


def text(value: object) -> str | None:
    """A model's name, None where there is none."""
    return value if isinstance(value, str) and value else None


def grouping(data: Mapping[str, Any]) -> str:
    """What a result is grouped by: every value that is no count."""
    return repr(sorted((k, v) for k, v in data.items() if isinstance(v, str | bool)))
