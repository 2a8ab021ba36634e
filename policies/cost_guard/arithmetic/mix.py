"""What the terms of a price change: spot capacity that is taken away, commitments that are owed; and hybrid fleets.

Spot: the price is divided by the share of the paid time that serves, the throughput stays; and the fleet holds as many
more spare nodes as are gone on average. Reserved: a node is owed for its commitment whether it serves or not, and what
is owed already is sunk: no decision can save it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from cost_guard.arithmetic.breakeven import Staircase, to_decimal
from cost_guard.catalogue.catalogue import Price
from cost_guard.scenario.scenario import Baseline


@dataclass(frozen=True)
class Terms:
    """How a node is paid for. The default is on-demand: a month at a time, nothing up front."""

    usd_per_month: Fraction
    """What each month of a node costs, without what is paid up front."""
    upfront_usd: Fraction = Fraction(0)
    """Per node, at the beginning of each commitment."""
    commitment_months: int = 1

    @property
    def effective_usd_per_month(self) -> Fraction:
        """A node's month with its part of what is paid up front: the `usdPerNodeMonth` of the arithmetic."""
        return self.usd_per_month + self.upfront_usd / self.commitment_months


@dataclass(frozen=True)
class Sunk:
    """Nodes whose commitment runs already: owed each month, used or not."""

    nodes: int
    months_left: int


NOTHING_OWED = Sunk(0, 0)


def terms_of(price: Price) -> Terms:
    """Spot at price/(1 − interruptionLoss); reserved with its commitment; all else a month at a time."""
    month = Fraction(price.usd_per_month)
    if price.terms == "spot":
        return Terms(month / (1 - Fraction(price.interruption_loss)))
    if price.terms == "reserved":
        return Terms(month, Fraction(price.upfront_usd), price.commitment_months or 1)
    return Terms(month)


def effective_usd_per_month(price: Price) -> Decimal:
    """What a month of a node's service costs: price/(1 − interruptionLoss), and upfrontUsd spread over the
    commitment."""
    return to_decimal(terms_of(price).effective_usd_per_month)


def extra_spare_nodes(price: Price | None, nodes: int) -> int:
    """Spare nodes besides the scenario's: of so many spot nodes, those that are gone on average, rounded up."""
    if price is None or price.terms != "spot":
        return 0
    return ceil(nodes * Fraction(price.interruption_loss))


def sunk(price: Price | None, baseline: Baseline | None, today: date) -> Sunk:
    """The baseline's nodes, if they are reserved and their commitment, begun at the baseline's date, still runs."""
    if price is None or price.terms != "reserved" or baseline is None:
        return NOTHING_OWED
    begun = baseline.date
    elapsed = (today.year - begun.year) * 12 + today.month - begun.month - (today.day < begun.day)
    left = min((price.commitment_months or 1) - max(elapsed, 0), price.commitment_months or 1)
    return Sunk(baseline.nodes, left) if left > 0 else NOTHING_OWED


def against_unsunk(stairs: Staircase, owed: Sunk, terms: Terms) -> Staircase:
    """The staircase of what can still be saved: the months of the owed nodes are in neither choice.

    Each owed node costs nothing more; beyond them a node costs what it does. A fleet scaled in below what is owed keeps
    all of them, so `nodes` is at least their number.
    """
    nodes = max(stairs.nodes, owed.nodes)
    return replace(stairs, nodes=nodes, overhead=stairs.overhead - owed.nodes * terms.effective_usd_per_month)


@dataclass(frozen=True)
class Displaced:
    """The part of the volume whose displacement saves most."""

    volume: Fraction
    """Tokens per month; 0 where no part pays."""
    saving: Fraction
    """USD per month against leaving all of it managed."""


def best_displaced(stairs: Staircase, total: Fraction) -> Displaced:
    """Which volume up to `total` is best displaced.

    Within a step the saving rises up to its right edge. At the right edges beyond the given nodes it is j·margin − rhs,
    which rises with j or falls throughout. So the best is one of four: nothing, what the given nodes carry, the last
    full step, or all.
    """
    carried = max(stairs.nodes - stairs.spare, 1) * stairs.per
    volumes = {min(carried, total), floor(total / stairs.per) * stairs.per, total} - {Fraction(0)}
    found = [Displaced(volume, stairs.managed(volume) - stairs.cost(volume)) for volume in sorted(volumes)]
    return max([Displaced(Fraction(0), Fraction(0)), *found], key=lambda one: one.saving)
