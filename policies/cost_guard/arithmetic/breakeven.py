"""The break-even of a fleet whose cost is a staircase.

A node serves `per` tokens a month, so volume V needs n(V) = max(nodes, ceil(V/per) + spare) nodes. Step j is the range
((j−1)·per, j·per]; on it the number of nodes, and so the cost, is constant, and self-hosting pays from cost/price on.
Beyond the steps that the given nodes carry, cost − managed at the right edge of step j is rhs − j·margin and just after
its left edge rhs + price·per − j·margin, where margin = price·per − node and rhs = spare·node + overhead. Both fall
with j where margin > 0, so the first step that pays and the last that loses are found by one division each: all is
exact in rationals, nothing iterates, nothing is missed. A root finder would miss bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from math import ceil

_PRECISION = Context(prec=40)


def to_decimal(value: Fraction) -> Decimal:
    """The decimal of a rational, exact where it terminates within 40 digits."""
    return _PRECISION.divide(Decimal(value.numerator), Decimal(value.denominator))


@dataclass(frozen=True)
class Band:
    """The volumes lo < V < hi at which self-hosting loses; hi None means every larger volume."""

    lo: Fraction
    hi: Fraction | None


@dataclass(frozen=True)
class Staircase:
    """Cost against managed price by volume. Volumes are tokens per month, money is USD per month, all exact."""

    nodes: int
    spare: int
    """Nodes beyond those that the peak needs; less than `nodes`."""
    usd_per_node: Decimal
    overhead: Fraction
    """USD per month besides nodes."""
    usd_per_million: Decimal
    """The managed price of a million tokens."""
    per: Fraction
    """Tokens per month that one node serves at the target utilisation."""

    def nodes_at(self, volume: Fraction) -> int:
        """n(V)."""
        return self._nodes_on_step(ceil(volume / self.per))

    def cost(self, volume: Fraction) -> Fraction:
        """cost(V)."""
        return self.nodes_at(volume) * self._node + self.overhead

    def managed(self, volume: Fraction) -> Fraction:
        """managed(V)."""
        return volume * self._price

    def pays(self, volume: Fraction) -> bool:
        """cost(V) ≤ managed(V)."""
        return self.cost(volume) <= self.managed(volume)

    @property
    def fixed(self) -> Fraction:
        """The cost of the nodes as they are, at any volume."""
        return self.nodes * self._node + self.overhead

    @property
    def simple(self) -> Fraction:
        """fixed/price: the break-even that forgets capacity."""
        return self.fixed / self._price

    @property
    def marginal_usd_per_million(self) -> Fraction:
        """What a million tokens more cost once the given nodes are full."""
        return self._node / self.per * 10**6

    @cached_property
    def first(self) -> Fraction | None:
        """The smallest volume that pays; None where none does."""
        return self.next_paying(Fraction(0))

    @cached_property
    def stable(self) -> Fraction | None:
        """The smallest volume from which every larger one pays; None where none exists."""
        last = self._last_losing_step
        if last is None:
            return None
        return self._on_step(last) / self._price if last > self._flat else self.simple

    def next_paying(self, volume: Fraction) -> Fraction | None:
        """The smallest paying volume above a volume that does not pay; None where none does."""
        step = self._paying_step(max(1, ceil(volume / self.per)))
        return None if step is None else self._on_step(step) / self._price

    def losing_after(self, volume: Fraction) -> Band | None:
        """The next band above a paying volume in which it would not pay; None from `stable` on."""
        start = max(ceil(volume / self.per), self._flat) + 1
        last = self._last_losing_step
        if last is not None and start > last:
            return None
        step = self._paying_step(start)
        return Band((start - 1) * self.per, None if step is None else self._on_step(step) / self._price)

    @property
    def _node(self) -> Fraction:
        return Fraction(self.usd_per_node)

    @property
    def _price(self) -> Fraction:
        return Fraction(self.usd_per_million) / 10**6

    @property
    def _flat(self) -> int:
        """The last step that the given nodes carry."""
        return self.nodes - self.spare

    @property
    def _margin(self) -> Fraction:
        return self._price * self.per - self._node

    @property
    def _rhs(self) -> Fraction:
        return self.spare * self._node + self.overhead

    def _nodes_on_step(self, step: int) -> int:
        return max(self.nodes, step + self.spare)

    def _on_step(self, step: int) -> Fraction:
        return self._nodes_on_step(step) * self._node + self.overhead

    def _paying_step(self, start: int) -> int | None:
        """The first step from `start` on whose right edge pays."""
        step = max(start, ceil(self.fixed / (self._price * self.per)))
        if step <= self._flat:
            return step
        start = max(start, self._flat + 1)
        if start * self._margin >= self._rhs:
            return start
        return ceil(self._rhs / self._margin) if self._margin > 0 else None

    @property
    def _last_losing_step(self) -> int | None:
        """The last step with a volume that loses, `_flat` or less if none beyond does; None where there is no last."""
        if self._margin <= 0:
            return None
        return ceil((self._rhs + self._price * self.per) / self._margin) - 1
