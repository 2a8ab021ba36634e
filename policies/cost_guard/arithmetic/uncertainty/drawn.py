"""One reading under many draws at once, in floats: its staircase, its month, its horizon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from cost_guard.arithmetic.months.commitments import Commitment, commitments
from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.stairs.many import Many
from cost_guard.arithmetic.stairs.stretches import Kinds
from cost_guard.arithmetic.tco import HorizonTerms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Factors on the medians, one of each for each draw."""

    volume: Floats
    api_price: Floats
    overhead: Floats
    throughput: Mapping[str, Floats]
    """By `NodeKind.factor`."""
    node_price: Mapping[str, Floats]
    """By `NodeKind.price`."""


@dataclass(frozen=True, slots=True)
class FloatTerms:
    """A horizon in floats, month 1 first."""

    worth: tuple[float, ...]
    """f(0), …, f(T)."""
    growth: tuple[float, ...]
    decline: tuple[float, ...]
    upfront_usd: float
    residual_usd: float
    held: tuple[Commitment, ...]

    @classmethod
    def of(cls, reading: Reading, horizon: HorizonTerms) -> FloatTerms:
        months = range(1, horizon.months + 1)
        return cls(
            worth=tuple(float(horizon.worth(t)) for t in range(horizon.months + 1)),
            growth=tuple(float(horizon.growth(t)) for t in months),
            decline=tuple(float(horizon.decline(t)) for t in months),
            upfront_usd=float(horizon.upfront_usd),
            residual_usd=float(horizon.residual_usd),
            held=commitments(reading.nodes, horizon.running),
        )

    def committed_usd(self, one: Commitment) -> float:
        """Its present value: what is up front, what falls due, and what is owed after the horizon."""
        last = len(self.growth)
        months = (
            float(one.begun_usd(t)) * self.worth[t - 1] + float(one.due_usd(t)) * self.worth[t]
            for t in range(1, last + 1)
        )
        return sum(months) + float(one.owed_usd(last)) * self.worth[last]


@dataclass(frozen=True)
class DrawnReading:
    """USD per month and tokens per month of each draw."""

    reading: Reading
    drawn: Drawn
    stairs: Many

    @classmethod
    def of(cls, reading: Reading, drawn: Drawn) -> DrawnReading:
        alike = {key: list(nodes) for key, nodes in groupby(sorted(reading.nodes, key=_size), key=_size)}
        kinds = Kinds(
            counts=tuple(len(nodes) for nodes in alike.values()),
            added=list(alike).index(_size(reading.added)),
            spare=reading.spare_nodes,
            loss=sum((node.loss for node in reading.nodes), Fraction(0)),
            added_loss=reading.added.loss,
        )
        sizes = [float(nodes[0].tokens_per_month) * drawn.throughput[nodes[0].factor] for nodes in alike.values()]
        together = len({node.factor for node in reading.nodes}) == 1
        return cls(reading, drawn, Many.of(kinds, sizes, together))

    @cached_property
    def volumes(self) -> Floats:
        """V."""
        return float(self.reading.volume) * self.drawn.volume

    @cached_property
    def price(self) -> Floats:
        """p, in USD per token."""
        return float(self.reading.usd_per_million) / 1e6 * self.drawn.api_price

    @cached_property
    def per_node(self) -> Floats:
        """w."""
        return float(self.reading.usd_per_node_month) * self.drawn.overhead

    @cached_property
    def besides(self) -> Floats:
        """O and w of the given nodes."""
        return float(self.reading.overhead_usd_per_month) * self.drawn.overhead + self.per_node * len(
            self.reading.nodes
        )

    @cached_property
    def each(self) -> Floats:
        """What one added node costs."""
        added = self.reading.added
        return float(added.cost_usd_per_month) * self.drawn.node_price[added.price] + self.per_node

    @cached_property
    def fixed(self) -> Floats:
        """The given nodes."""
        costs: dict[str, Fraction] = {}
        for node in self.reading.nodes:
            costs[node.price] = costs.get(node.price, Fraction(0)) + node.cost_usd_per_month
        return self.besides + sum(float(usd) * self.drawn.node_price[price] for price, usd in costs.items())

    def stable(self) -> Floats:
        """+∞ where there is none."""
        return self.stairs.stable(self.fixed, self.each, self.price)

    def cost(self) -> Floats:
        """cost(V)."""
        return self.fixed + self.stairs.added_at(self.volumes) * self.each

    def over(self, terms: FloatTerms) -> tuple[Floats, Floats]:
        """selfHostedUsd and managedUsd."""
        worth = terms.worth[1:]
        added = sum(f * nodes for f, nodes in zip(worth, self._added(terms), strict=True))
        ours = self.besides * sum(worth) + added * self.each
        ours += terms.upfront_usd - terms.residual_usd * worth[-1]
        for one in terms.held:
            ours += terms.committed_usd(one) * self._factor(one)
        bought = sum(f * g * d for f, g, d in zip(worth, terms.growth, terms.decline, strict=True))
        return ours, self.volumes * self.price * bought

    def sums(self, terms: FloatTerms) -> Iterator[tuple[Floats, Floats]]:
        """Both undiscounted sums to the end of each month."""
        ours, theirs = 0 * self.volumes + terms.upfront_usd, 0 * self.volumes
        months = zip(self._added(terms), terms.growth, terms.decline, strict=True)
        for number, (added, growth, decline) in enumerate(months, 1):
            ours = ours + self.besides + added * self.each
            for one in terms.held:
                ours = ours + float(one.begun_usd(number) + one.due_usd(number)) * self._factor(one)
            theirs = theirs + self.volumes * self.price * (growth * decline)
            yield ours, theirs

    def _added(self, terms: FloatTerms) -> Iterator[Floats]:
        """n(Vₜ) of each month."""
        before, nodes = None, 0 * self.volumes
        for growth in terms.growth:
            if growth != before:
                before, nodes = growth, self.stairs.added_at(self.volumes * growth)
            yield nodes

    def _factor(self, one: Commitment) -> Floats | float:
        """On the price of a commitment; what a fleet has left is a bill that nothing moves."""
        return self.drawn.node_price[one.price] if one.renewed else 1.0


def _size(node: NodeKind) -> tuple[Fraction, str]:
    """From the largest on; nodes with another factor are another kind, since they move apart."""
    return -node.tokens_per_month, node.factor
