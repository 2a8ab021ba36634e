"""The engines that there are: every module of `images.engines`. A new one is a file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from images import engines
from images.engines.common.base import Engine

DEFAULT = "vllm"
"""The engine of a stack that names none."""


@cache
def known() -> dict[str, Engine]:
    """By name, the default first. Raises TypeError for a file without an ENGINE, and for a name that is taken."""
    found: dict[str, Engine] = {}
    for module in pkgutil.iter_modules(engines.__path__, f"{engines.__name__}."):
        if module.ispkg:
            continue
        engine = getattr(importlib.import_module(module.name), "ENGINE", None)
        if not isinstance(engine, Engine) or found.setdefault(engine.name, engine) is not engine:
            raise TypeError(f"{module.name} holds no ENGINE = Engine(…) with a name of its own")
    return dict(sorted(found.items(), key=lambda item: item[0] != DEFAULT))


def engine(name: str) -> Engine:
    """The engine of that name. Raises ValueError, which says what there is."""
    if name not in known():
        raise ValueError(f"engine {name!r} is unknown: {_or(known())}")
    return known()[name]


def _checked(name: object) -> object:
    if not isinstance(name, str) or name not in known():
        expected = _or(repr(other) for other in known())
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return name


def _or(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


EngineName = Annotated[str, BeforeValidator(_checked)]
"""A field that names an engine; what pydantic says of a Literal, it says of this."""
