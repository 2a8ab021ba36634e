"""The flags that vLLM has, and whether a value is one that its command line takes.

The file is read from vLLM's own parser (tests/vllm/flag_types.py). What is inside a map is vLLM's to judge.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from strict.numbers import shown
from strict.problems import nearest

FILE = Path(__file__).parents[1] / "vllm-flags.toml"
Argument = bool | int | float | str | tuple[bool | int | float | str, ...] | Mapping[str, Any]
"""True is the flag alone, false its `--no-` form; a list is its values one after the other, a map is JSON."""

_WHOLE = re.compile(r"[+-]?\d+")
_SIZE = re.compile(r"\d+[kKmMgGtT]?|\d+\.\d+[kmgt]")


@cache
def flags() -> Mapping[str, Any]:
    """By name, without the dashes: a word of `_KINDS`, the choices, or {"several": choices}."""
    return tomllib.loads(FILE.read_text("utf-8"))


def type_problem(flag: str, value: Argument) -> str | None:
    """What `flag` takes, if `value` is nothing of the kind; None where it is. `flag` is one of `flags`."""
    kind = flags()[flag]
    if isinstance(kind, Mapping):
        return _choice_problem(kind["several"], value if isinstance(value, tuple) else (value,))
    if isinstance(kind, list):
        return _choice_problem(kind, (value,))
    takes, what = _KINDS[kind]
    return None if takes(value) else f"takes {what}, got {_written(value)}"


def _choice_problem(choices: Sequence[str | int], values: Sequence[Any]) -> str | None:
    wrong = next((value for value in values if not _is_one(value, choices)), None)
    if wrong is None:
        return None
    near = nearest(str(wrong), map(str, choices))
    meant = f"; did you mean {near}?" if near else ""
    return f"takes {' or '.join(map(str, choices))}, got {_written(wrong)}{meant}"


def _is_one(value: object, choices: Sequence[str | int]) -> bool:
    return not isinstance(value, bool) and str(value) in map(str, choices)


def _written(value: object) -> str:
    return shown(list(value) if isinstance(value, tuple) else value)


def _whole(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and bool(_WHOLE.fullmatch(value))
    )


def _size(value: object) -> bool:
    return _whole(value) or (isinstance(value, str) and bool(_SIZE.fullmatch(value)))


def _number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False


def _text(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _several(takes: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: all(map(takes, value)) if isinstance(value, tuple) else takes(value)


def _map(value: object) -> bool:
    """JSON in a text is one, too."""
    try:
        return isinstance(json.loads(value) if isinstance(value, str) else value, Mapping)
    except ValueError:
        return False


_KINDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "switch": (lambda value: value is True, "true alone: to leave it off, leave it out"),
    "int": (_whole, "a whole number"),
    "size": (_size, "a whole number, or one with a unit such as 16k"),
    "float": (_number, "a number"),
    "string": (_text, "a text"),
    "json": (_map, "a map"),
    "any": (lambda value: _map(value) or _text(value), "a map or a text"),
    "ints": (_several(_whole), "whole numbers, in a list"),
    "strings": (_several(_text), "texts, in a list"),
}
