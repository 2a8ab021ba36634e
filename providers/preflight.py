"""What is looked at before an `up`: what a stack wants of a cloud, and each line of what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from providers.base import Candidate


class Grade(StrEnum):
    """`fail` ends `crossover doctor` with exit code 1: `up` would fail, or be refused."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `remedy` is empty where all is well."""

    name: str
    level: Grade
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stack wants of one cloud. A cloud with a method `preflight(plan) -> list[Check]` says what stands in the
    way; one with a method `offers_of(places)` need not list its whole catalogue for it."""

    project: str
    stack: str
    candidates: Mapping[str, Candidate]
    """Node key → its first candidate there; the gateway's own machine too."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The stack's `clouds.<cloud>` section."""
    max_per_failure_domain: int = 1
    generations: Mapping[str, int] = field(default_factory=dict)
    """Of the machines where it is not 1."""
