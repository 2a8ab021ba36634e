"""A rule on the verdict: what it is asked, and what it says.

Importing this, or a file of `rules/`, loads no model and no catalogue: the pack tells its rules to the engine before it
loads what a verdict needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from cost_guard.codes import Level, Rule

if TYPE_CHECKING:  # to start faster
    from datetime import date

    from cost_guard.arithmetic.costing import Case, Rung
    from cost_guard.arithmetic.managed import ManagedPrice
    from cost_guard.catalogue.catalogue import Catalogue
    from cost_guard.scenario.proposal import Proposal
    from cost_guard.verdict.verdict import BreakEven

FRESH_DAYS, STALE_DAYS = 90, 180
"""How old a price or a volume is that is warned of, and that blocks."""


@dataclass(frozen=True)
class Objection:
    """What a rule says of what it was asked."""

    level: Literal[Level.WARN, Level.BLOCK]
    message: str


@dataclass(frozen=True)
class Question:
    """What is asked once: it is the same for every rung."""

    proposal: Proposal
    catalogue: Catalogue
    managed: ManagedPrice
    today: date


@dataclass(frozen=True)
class RungQuestion(Question):
    """What is asked of each rung."""

    rung: Rung


@dataclass(frozen=True)
class CaseQuestion(RungQuestion):
    """What is asked of each rung whose price and throughput are known."""

    case: Case
    break_even: BreakEven


Q = TypeVar("Q", bound=Question)


@dataclass(frozen=True, kw_only=True)
class VerdictRule(Rule, Generic[Q]):
    """A rule on the verdict, and how its BLOCK bends."""

    asks: type[Q]
    """What it must know: with it, how often it is asked."""
    find: Callable[[Q], Objection | None]
    repair_goes_through: bool = False
    """A baseline that is not exceeded turns its BLOCK into WARN."""
    only_for_bills: bool = False
    """Its BLOCK is a WARN where nothing is billed."""
    of_one_rung: bool = True
    """Its words hold for the rung that was judged, which is named before them; else for all, or they name it."""


AnyVerdictRule = VerdictRule[Any]
