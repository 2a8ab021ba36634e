"""Several served models in one document: `models` maps a name to what is each one's own; the rest is shared.

The keys of one model at the top are the form for a single model, which is a map of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cost_guard.scenario.scenario import ScenarioError
from strict.numbers import shown
from strict.problems import unknown

MODELS = "models"
SINGLE = "fleet"
"""The name of the model whose keys stand at the top."""
OWN = ("workload", "managed", "fleet")
"""The keys of a scenario that each model has for itself."""
MODEL_NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
"""A model's name is that of its Fleet, and a part of names that its machines get."""


def by_model(data: Mapping[str, Any], prefix: str = "", own: tuple[str, ...] = OWN) -> dict[str, dict[str, Any]]:
    """Name → its document in the form for a single model: its own keys beside those that all share.

    `prefix` is what keys are called by. Raises ScenarioError.
    """
    if MODELS not in data:
        return {SINGLE: dict(data)}
    given, shared = data[MODELS], {key: value for key, value in data.items() if key != MODELS}
    if not isinstance(given, Mapping) or not given:
        raise ScenarioError(f"{prefix}{MODELS}: expected a map of names to models, got {shown(given)}")
    if mixed := [key for key in own if key in shared]:
        raise ScenarioError(
            f"{prefix}{MODELS}: {', '.join(mixed)} stands beside it; with models each has its own, below its name"
        )
    lines = [problem for name, keys in given.items() for problem in _problems(name, keys, prefix, own)]
    if lines:
        raise ScenarioError(lines)
    return {name: {**shared, **keys} for name, keys in given.items()}


def _problems(name: object, keys: object, prefix: str, own: tuple[str, ...]) -> list[str]:
    if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
        return [f"{prefix}{MODELS}: the name {shown(name)} must be lower-case letters, digits and hyphens, e.g. coder"]
    if not isinstance(keys, Mapping):
        return [f"{prefix}{MODELS}.{name}: expected a map of keys, got {shown(keys)}"]
    return [f"{prefix}{MODELS}.{name}.{key}: {unknown(str(key), own)}" for key in keys if key not in own]


def prefix_of(name: str, several: bool, prefix: str = "") -> str:
    """What the keys of one model are called by."""
    return f"{prefix}{MODELS}.{name}." if several else prefix


def shared_as_such(lines: list[str], name: str, prefix: str, own: tuple[str, ...] = OWN) -> list[str]:
    """What is wrong with keys that all models share, said of those keys and not of a model's."""
    mine = prefix_of(name, True, prefix)
    return [
        f"{prefix}{line.removeprefix(mine)}"
        if line.startswith(mine) and re.split(r"[.:\[]", line.removeprefix(mine))[0] not in own
        else line
        for line in lines
    ]
