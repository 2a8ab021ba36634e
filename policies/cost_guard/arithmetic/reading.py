"""One reading of a fleet: the nodes that there are, the kind that is added, and what a month of a volume comes to.

All is exact. k(n) = spare_nodes + ceil(Σℓ + n·ℓₐ) of the N + n nodes are spares, the largest ones; what the others
serve is Cap(n). n(V) is the least n with Cap(n) ≥ V.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.stairs.steps import LosingBand, Stairs, flights
from cost_guard.arithmetic.stairs.stretches import Kinds, group, stretches
from cost_guard.units import SECONDS_PER_MONTH


@dataclass(frozen=True)
class Reading:
    """Every node at one of its rungs. Volumes are tokens per month, money is USD per month."""

    name: str
    """first | dearest | slowest."""
    nodes: tuple[NodeKind, ...]
    """The given nodes; at least one."""
    added: NodeKind
    """What further nodes are: one of `nodes`."""
    spare_nodes: int
    overhead_usd_per_month: Fraction
    """O: besides nodes, after `understatedBy`."""
    usd_per_node_month: Fraction
    """w: of each node besides its price, after `understatedBy`."""
    usd_per_million: Fraction
    """p: what a million of the displaced tokens cost at the managed API; more than 0."""
    volume: Fraction
    """V: the displaced tokens per month."""
    peak_to_mean: Fraction
    """ρ."""

    def spare(self, added: int) -> int:
        """k(n)."""
        loss = sum((node.loss for node in self.nodes), Fraction(0))
        return self.spare_nodes + ceil(loss + added * self.added.loss)

    def capacity(self, added: int) -> Fraction:
        """Cap(n): what the nodes serve without their spares; 0 where all are spares."""
        sizes = [node.tokens_per_month for node in self.nodes] + [self.added.tokens_per_month] * added
        return sum(sorted(sizes)[: max(0, len(sizes) - self.spare(added))], Fraction(0))

    def added_at(self, volume: Fraction) -> int:
        """n(V)."""
        return self.stairs.added_at(volume)

    def cost_with(self, added: int) -> Fraction:
        """cost of so many added nodes: Σc + n·cₐ + w·(N + n) + O."""
        return self.stairs.cost(added)

    def cost(self, volume: Fraction) -> Fraction:
        """cost(V)."""
        return self.cost_with(self.added_at(volume))

    def managed(self, volume: Fraction) -> Fraction:
        """managed(V)."""
        return volume * self.usd_per_million / 10**6

    def pays(self, volume: Fraction) -> bool:
        """cost(V) ≤ managed(V)."""
        return self.cost(volume) <= self.managed(volume)

    @property
    def nodes_needed(self) -> int:
        """N + n(V), at the scenario's volume."""
        return len(self.nodes) + self.added_at(self.volume)

    @property
    def fixed(self) -> Fraction:
        """The cost of the nodes as they are, at any volume."""
        return self.cost_with(0)

    @property
    def simple(self) -> Fraction:
        """fixed/price: the break-even that forgets capacity."""
        return self.fixed / self.stairs.price

    @property
    def first(self) -> Fraction | None:
        """The least volume that pays; None where none does."""
        return self.stairs.first

    @property
    def stable(self) -> Fraction | None:
        """The least volume from which every larger one pays; None where none exists."""
        return self.stairs.stable

    def next_paying(self, volume: Fraction) -> Fraction | None:
        """The least paying volume above a volume that does not pay; None where none does."""
        return self.stairs.next_paying(volume)

    def losing_after(self, volume: Fraction) -> LosingBand | None:
        """The next band above a paying volume in which it would not pay; None from `stable` on."""
        return self.stairs.losing_after(volume)

    @property
    def marginal_usd_per_million(self) -> Fraction:
        """What a million tokens more cost once the given nodes are full: (cₐ + w)/(sₐ·(1 − ℓₐ))."""
        return self.stairs.each / (self.added.tokens_per_month * (1 - self.added.loss)) * 10**6

    @property
    def tokens_per_second(self) -> Fraction:
        """ΣC of the given nodes."""
        return sum((node.tokens_per_second for node in self.nodes), Fraction(0))

    @property
    def tokens_per_second_per_node(self) -> Fraction:
        """ΣC/N."""
        return self.tokens_per_second / len(self.nodes)

    @property
    def peak_tokens_per_second(self) -> Fraction:
        """V·ρ/H."""
        return self.volume * self.peak_to_mean / SECONDS_PER_MONTH

    @property
    def tokens_per_second_after_loss(self) -> Fraction:
        """ΣC − max C."""
        return self.tokens_per_second - max(node.tokens_per_second for node in self.nodes)

    @property
    def survives_one_loss(self) -> bool:
        """V·ρ/H ≤ ΣC − max C; one node never does."""
        return len(self.nodes) > 1 and self.peak_tokens_per_second <= self.tokens_per_second_after_loss

    @property
    def utilisation(self) -> Fraction:
        """V/(H·ΣC): the mean share of all given nodes that is busy."""
        return self.volume / (SECONDS_PER_MONTH * self.tokens_per_second)

    @cached_property
    def stairs(self) -> Stairs:
        """The steps of cost by volume."""
        sizes, counts = group([node.tokens_per_month for node in self.nodes])
        step = self.added.tokens_per_month
        kinds = Kinds(
            counts=counts,
            added=sizes.index(step),
            spare=self.spare_nodes,
            loss=sum((node.loss for node in self.nodes), Fraction(0)),
            added_loss=self.added.loss,
        )
        each = self.added.cost_usd_per_month + self.usd_per_node_month
        nodes = sum((node.cost_usd_per_month for node in self.nodes), Fraction(0))
        return Stairs(
            flights=flights(stretches(kinds), sizes, step),
            step=step,
            fixed=nodes + self.usd_per_node_month * len(self.nodes) + self.overhead_usd_per_month,
            each=each,
            price=self.usd_per_million / 10**6,
        )
