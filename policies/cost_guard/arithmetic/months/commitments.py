"""What reserved nodes are committed to: when a commitment begins, what falls due, what is still owed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from cost_guard.arithmetic.node import NodeKind

NOTHING = Fraction(0)
"""What most nodes, paid by the month, come to up front and after a month: not reckoned anew for each month."""


@dataclass(frozen=True, slots=True)
class Running:
    """Nodes of a baseline whose commitment runs already; what is paid up front for it is paid."""

    name: str
    """The catalogue key."""
    nodes: int
    usd_per_month: Fraction
    """Of one node."""
    months_left: int
    """From the first month on; at least 1."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """Nodes of one kind, renewed for as long as the horizon, or owed to the end of what runs and then left."""

    nodes: int
    usd_per_month: Fraction
    """Of one node."""
    upfront_usd: Fraction
    """Of one node, with each commitment that begins."""
    months: int
    """L."""
    months_left: int = 0
    """Of a commitment that runs already."""
    renewed: bool = True
    price: str = ""
    """Whose price draw it shares."""

    def begun_usd(self, month: int) -> Fraction:
        """What is paid up front at the beginning of a month."""
        begins = self.renewed and month > self.months_left and (month - self.months_left - 1) % self.months == 0
        return self.nodes * self.upfront_usd if begins and self.upfront_usd else NOTHING

    def due_usd(self, month: int) -> Fraction:
        """What falls due in a month."""
        return self.nodes * self.usd_per_month if self.renewed or month <= self.months_left else NOTHING

    def owed_usd(self, month: int) -> Fraction:
        """What the commitment still comes to after a month."""
        months = self._months_after(month)
        return self.nodes * self.usd_per_month * months if months else NOTHING

    def _months_after(self, month: int) -> int:
        if month < self.months_left:
            return self.months_left - month
        return -(month - self.months_left) % self.months if self.renewed else 0


def commitments(nodes: Sequence[NodeKind], running: Sequence[Running]) -> tuple[Commitment, ...]:
    """Those of the given nodes: of each name, as many as run go on, and the others begin; what runs besides is owed."""
    found = []
    left = list(running)
    for kind, count in Counter(nodes).items():
        for at, one in enumerate(left):
            kept = min(count, one.nodes) if one.name == kind.name else 0
            if kept:
                count -= kept
                left[at] = replace(one, nodes=one.nodes - kept)
                found.append(_of(kind, kept, one.months_left))
        if count:
            found.append(_of(kind, count, 0))
    found += [
        Commitment(one.nodes, one.usd_per_month, Fraction(0), 1, one.months_left, False) for one in left if one.nodes
    ]
    return tuple(found)


def _of(kind: NodeKind, nodes: int, months_left: int) -> Commitment:
    return Commitment(
        nodes, kind.usd_per_month, kind.upfront_usd, kind.commitment_months, months_left, price=kind.price
    )


def running(nodes: Sequence[NodeKind], baseline_nodes: int, elapsed_months: int) -> tuple[Running, ...]:
    """What a baseline of so many nodes has committed to, so long ago.

    Its nodes are taken to be those of the reading, one by one; where it has more, the others are as the one of them
    that owes most. A commitment that has ended is not running.
    """
    owing = [_running(node, elapsed_months) for node in nodes[:baseline_nodes]]
    gone = max(0, baseline_nodes - len(nodes))
    if gone and (runs := [one for one in owing if one is not None]):
        owing += [max(runs, key=lambda one: one.usd_per_month * one.months_left)] * gone
    counts = Counter(one for one in owing if one is not None)
    return tuple(replace(one, nodes=count) for one, count in counts.items())


def _running(node: NodeKind, elapsed_months: int) -> Running | None:
    left = node.commitment_months - max(0, elapsed_months)
    if node.commitment_months == 1 or left <= 0:
        return None
    return Running(node.name, 1, node.usd_per_month, left)
