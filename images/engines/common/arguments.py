"""What may be said to vLLM beyond the settings of ours: its flags, and the variables of its process.

Refused is what is ours to set, and what opens a door or runs code that nobody looked at; `vllm.toml` has each with its
reason, and what vLLM knows at all, so that a misspelt flag is told before a machine is rented.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from images.engines.common.flags import Argument, flags, type_problem
from strict.problems import nearest

FILE = Path(__file__).parents[1] / "vllm.toml"
Vocabulary = Literal["toolCallParsers", "reasoningParsers", "quantizations"]

_TOKEN = re.compile(r"@[A-Z]")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_NUMBER = re.compile(r"-\d+(\.\d+)?")
_MOST = 4096


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text("utf-8"))


def known(kind: Vocabulary) -> tuple[str, ...]:
    """The names that vLLM has for a parser or a quantization."""
    return tuple(_table()[kind])


def argument_problem(flag: str, value: Argument, known_flags: frozenset[str] | None = None) -> str | None:
    """Why `flag`, spelt without dashes before it, may not be set so; None where it may. `known_flags` are those that
    the engine knows, if they are fewer than vLLM's."""
    table = _table()
    if reason := table["refused"].get(flag) or _family(flag, table["refusedFamilies"]):
        return str(reason)
    for word, reason in table["refusedWords"].items():
        if word in flag.split("-"):
            return str(reason)
    if flag not in flags():
        meant = _meant(flag, flags(), "refused", "`vllm serve --help=all`")
        return f"vLLM {table['version']} has no such flag; {meant}"
    if known_flags is not None and flag not in known_flags:
        return f"it is vLLM's, and this engine has none like it; it has {', '.join(sorted(known_flags))}"
    if (allowed := table["values"].get(flag)) and value not in allowed:
        return f"must be {', '.join(allowed)}: anything else loads from elsewhere"
    return _key_problem(table["refusedKeys"].get(flag, {}), value) or _value_problem(value) or type_problem(flag, value)


def argument_words(arguments: Mapping[str, Argument]) -> tuple[str, ...]:
    """The command line, in the order of the flags' names."""
    return tuple(word for flag in sorted(arguments) for word in _words(flag, arguments[flag]))


def refused_variables() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of variables that nobody but us may set, and beginnings of such names."""
    table = _table()
    return tuple(table["refusedVariables"]), tuple(table["refusedVariableFamilies"])


def variable_problem(name: str, value: str) -> str | None:
    """Why the variable may not be set so; None where it may."""
    table = _table()
    if reason := table["refusedVariables"].get(name) or _family(name, table["refusedVariableFamilies"]):
        return str(reason)
    if name.startswith("VLLM_"):
        if name not in table["variables"]:
            meant = _meant(name, table["variables"], "refusedVariables", "its module envs.py")
            return f"vLLM {table['version']} reads no such variable; {meant}"
    elif not name.startswith(tuple(table["families"])):
        return f"only variables of vLLM's and {', '.join(f'{family}*' for family in table['families'])} may be set"
    if not _VARIABLE.fullmatch(name):
        return "a variable's name is capital letters, digits and _"
    return _text_problem(value)


def _meant(name: str, names: Iterable[str], refused: str, elsewhere: str) -> str:
    """The one that may be set and is most alike, or where they all stand: they are too many for a line."""
    near = nearest(name, (one for one in names if one not in _table()[refused]))
    return f"did you mean {near}?" if near else f"{elsewhere} has them all"


def _family(name: str, families: Mapping[str, str]) -> str | None:
    return next((reason for prefix, reason in families.items() if name.startswith(prefix)), None)


def _key_problem(refused: Mapping[str, str], value: Argument) -> str | None:
    if not refused:
        return None
    if isinstance(value, str | tuple):
        return "give it as a map, so that its keys are seen"
    given = {str(key).replace("-", "_").split(".")[0] for key in value} if isinstance(value, Mapping) else set()
    return next((f"{key}: {reason}" for key, reason in refused.items() if key in given), None)


def _words(flag: str, value: Argument) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (f"--{flag}" if value else f"--no-{flag}",)
    if isinstance(value, Mapping):
        return (f"--{flag}", json.dumps(value, sort_keys=True))
    if isinstance(value, tuple):
        return (f"--{flag}", *(_word(item) for item in value))
    return (f"--{flag}", _word(value))


def _word(value: bool | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value_problem(value: Argument) -> str | None:
    if isinstance(value, tuple):
        if not value:
            return "an empty list says nothing: leave the flag out"
        return next((problem for item in value if (problem := _value_problem(item))), None)
    if isinstance(value, Mapping):
        try:
            return _text_problem(json.dumps(value, sort_keys=True, allow_nan=False))
        except (TypeError, ValueError) as e:
            return f"its keys are texts, and what they hold is what JSON knows: {e}"
    if isinstance(value, str) and value.startswith("-") and not _NUMBER.fullmatch(value):
        return "a value that begins with a dash would be another flag"
    return _text_problem(value) if isinstance(value, str) else None


def _text_problem(text: str) -> str | None:
    if not text.isprintable() or not text or len(text) > _MOST:
        return f"must be a text of one line, at most {_MOST} characters"
    if _TOKEN.search(text):
        return "an @ before a capital letter is how bundles name a machine's own values"
    return None
