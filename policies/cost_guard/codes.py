"""What a rule is to whoever does not run it: its code, how bad it is, what to do; and how files of rules are found."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from types import ModuleType
from typing import Any

from strict.places import Place

DOCS = "docs/reference/policies.md"
"""In the repository; each rule has a section of its own there."""

ADVISORY, WAIVERS, BESIDE = "advisories", "waivers", "beside-nodes"
"""Rules that block nothing: what should be known of single resources, of waivers in the whole stack, and of what it
makes beside its nodes."""

CANNOT_EVALUATE = 3
"""The exit code for bad or missing data."""


class Level(StrEnum):
    """How bad; the verdict is the worst of its reasons, where WAIVED, a BLOCK that a waiver lifts, counts as WARN."""

    PASS = "PASS"
    WARN = "WARN"
    WAIVED = "WAIVED"
    BLOCK = "BLOCK"

    @property
    def rank(self) -> int:
        """0 is best."""
        return list(Level).index(self)


def worst(levels: Iterable[Level]) -> Level:
    """PASS if there are none; never WAIVED."""
    found = max(levels, key=lambda level: level.rank, default=Level.PASS)
    return Level.WARN if found is Level.WAIVED else found


class Severity(StrEnum):
    """How bad a violation is, in the words of the policy engine."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What holds for a rule, whatever it judges. Its file is named like its code."""

    code: str
    position: int
    """Rules are told and enforced in the order of these numbers."""
    severity: Severity
    demand: str
    """What it demands, in a sentence."""
    remedy: str
    """What to do about a violation."""
    key: Place = ("fleet", "nodes")
    """Of the configuration: what it speaks of, where a report points."""
    never_waived: str = ""
    """Why no waiver lifts it; empty where one may."""

    @property
    def docs(self) -> str:
        """Its section of the reference."""
        return f"{DOCS}#{self.code}"


@dataclass(frozen=True)
class Codes:
    """The rules that there are: what a file of waivers is checked against."""

    mandatory: tuple[str, ...]
    """Every rule that must be mandatory where the pack runs, in the order in which they are told."""
    of_verdict: frozenset[str]
    """Those that are judged on a Fleet's inputs, and know its cost."""
    never_waived: Mapping[str, str]
    """Codes that no waiver lifts → why."""


def discovered(package: ModuleType) -> list[Any]:
    """The `RULE` of every file of a package, in the order of their positions.

    Raises ImportError for a file that has none, or one that is not named like its code.
    """
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        rule = getattr(import_module(f"{package.__name__}.{module.name}"), "RULE", None)
        if getattr(rule, "code", None) != module.name.replace("_", "-"):
            raise ImportError(f"{package.__name__}.{module.name} must have a RULE with the code of its name")
        found.append(rule)
    return sorted(found, key=lambda rule: int(rule.position))
