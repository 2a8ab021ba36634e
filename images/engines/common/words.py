"""What lines of an engine's log mean: failures that are known, and the stages of loading. Data, beside the engine."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, TypeAdapter

from images.engines.common.registry import engine


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as e:
        raise ValueError(f"{text!r} is no regular expression: {e}") from e
    return text


_Pattern = Annotated[str, AfterValidator(_expression)]

Weight = Literal["fatal", "heals", "hangs"]
"""What follows from a failure's line. `fatal`: its process ends, and so does each that is started after it. `heals`: a
later start may pass, so it only explains why a service ends again and again. `hangs`: nothing serves after it, and the
process may live on."""


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A known failure."""

    name: str
    pattern: _Pattern
    """Found in a line of the log."""
    says: str
    """What it means, in words that go on after "vllm: "."""
    remedy: str
    """What to do."""
    source: str
    """Where the words of `pattern` are from."""
    example: str
    """A line as it was seen, or as the source makes it."""
    weight: Weight = "fatal"
    ask: tuple[str, ...] = ()
    """A command whose output on the machine says more."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a start that takes long."""

    pattern: _Pattern
    says: str
    """With the pattern's groups as {1}, {2}."""
    source: str
    example: str


@dataclass(frozen=True, slots=True)
class Words:
    """All that is known of one engine's log. A line that several failures fit is the first one's."""

    failures: tuple[KnownFailure, ...] = ()
    stages: tuple[Stage, ...] = ()

    def failure(self, line: str) -> KnownFailure | None:
        """The first that the line tells."""
        return next((f for f in self.failures if re.search(f.pattern, line)), None)

    def stage(self, line: str) -> str:
        """What an engine that writes this line is doing; "" if it does not tell."""
        for stage in self.stages:
            if found := re.search(stage.pattern, line):
                return stage.says.format(found[0], *found.groups())
        return ""


_READER = TypeAdapter(Words)


@cache
def read_words(path: Path) -> Words:
    """The file's. Raises ValueError for one that is none."""
    return _READER.validate_python(tomllib.loads(path.read_text()))


def words_of(name: str) -> Words:
    """What is known of the log of that engine; nothing for "", and for an engine that is not there any more."""
    try:
        path = engine(name).log_words if name else None
    except ValueError:
        return Words()
    return read_words(path) if path else Words()
