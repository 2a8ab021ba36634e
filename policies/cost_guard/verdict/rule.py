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
    from decimal import Decimal
    from fractions import Fraction

    from cost_guard.arithmetic.draws import Chances
    from cost_guard.arithmetic.reading import Reading
    from cost_guard.arithmetic.tco import HorizonTerms, Tco
    from cost_guard.arithmetic.uncertainty.sigmas import Sigmas
    from cost_guard.catalogue.catalogue import Catalogue
    from cost_guard.scenario.proposal import Proposal
    from cost_guard.verdict.facts.facts import Facts

FRESH_DAYS, STALE_DAYS = 90, 180
"""How old a price or a volume is that is warned of, and that blocks."""


@dataclass(frozen=True)
class Objection:
    """What a rule says of what it was asked."""

    level: Literal[Level.WARN, Level.BLOCK]
    message: str


@dataclass(frozen=True)
class StackTotals:
    """What all models of a stack come to: a baseline and a budget are the stack's."""

    nodes: int
    fixed_usd_per_month: Fraction | None
    """Nodes and overhead at the catalogue's prices, each node at its dearest rung."""
    billed_usd_per_month: Fraction | None
    """The same with the ceilings of markets."""


@dataclass(frozen=True)
class Question:
    """What is asked once: it is the same for every reading."""

    proposal: Proposal
    catalogue: Catalogue
    today: date
    facts: Facts
    stack: StackTotals


@dataclass(frozen=True)
class Judged:
    """One reading, and what it comes to."""

    reading: Reading
    horizon: HorizonTerms
    tco: Tco
    odds: Chances
    beside: tuple[Reading, ...]
    """All readings that share its draws, itself included."""
    sigmas: Sigmas
    outlook: Decimal
    """Sigma of the volume after a year."""


@dataclass(frozen=True)
class ReadingQuestion(Question):
    """What is asked of each reading."""

    judged: Judged


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


AnyVerdictRule = VerdictRule[Any]
