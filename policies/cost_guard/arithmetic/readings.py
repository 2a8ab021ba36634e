"""The readings of a fleet of ladders: every node at its first rung, its dearest, its slowest, and each kind added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import HorizonTerms, tco


@dataclass(frozen=True, slots=True)
class LadderRung:
    """One rung of one node's ladder."""

    node: NodeKind
    """At the catalogue's price."""
    ceiling: NodeKind
    """At what it may cost at most: where the cloud is a market, the ceiling if that is more; else as `node`."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all readings of a fleet have in common; see `Reading` for each."""

    spare_nodes: int
    overhead_usd_per_month: Fraction
    usd_per_node_month: Fraction
    usd_per_million: Fraction
    volume: Fraction
    peak_to_mean: Fraction


def readings(ladders: Sequence[Sequence[LadderRung]], site: Site) -> tuple[Reading, ...]:
    """All that differ, in the order first, dearest, slowest, and of each in the order of the nodes that it adds.

    `ladders` has the rungs of each node, at least one. Two readings are the same if they have the same kinds of nodes
    as often and add the same.
    """
    found, seen = [], set()
    for name, nodes in _choices(ladders):
        kinds = frozenset(Counter(nodes).items())
        for added in dict.fromkeys(nodes):
            if (kinds, added) not in seen:
                seen.add((kinds, added))
                found.append(_reading(name, nodes, added, site))
    return tuple(found)


def _choices(ladders: Sequence[Sequence[LadderRung]]) -> Iterator[tuple[str, tuple[NodeKind, ...]]]:
    yield "first", tuple(ladder[0].node for ladder in ladders)
    dearest = (max((rung.ceiling for rung in ladder), key=_dearer) for ladder in ladders)
    yield "dearest", tuple(dearest)
    slowest = (min((rung.node for rung in ladder), key=_slower) for ladder in ladders)
    yield "slowest", tuple(slowest)


def _dearer(node: NodeKind) -> tuple[Fraction, Fraction]:
    """The greatest c; of equals, the least C."""
    return node.cost_usd_per_month, -node.tokens_per_second


def _slower(node: NodeKind) -> tuple[Fraction, Fraction]:
    """The least C; of equals, the greatest c."""
    return node.tokens_per_second, -node.cost_usd_per_month


def _reading(name: str, nodes: tuple[NodeKind, ...], added: NodeKind, site: Site) -> Reading:
    return Reading(
        name=name,
        nodes=nodes,
        added=added,
        spare_nodes=site.spare_nodes,
        overhead_usd_per_month=site.overhead_usd_per_month,
        usd_per_node_month=site.usd_per_node_month,
        usd_per_million=site.usd_per_million,
        volume=site.volume,
        peak_to_mean=site.peak_to_mean,
    )


def shown(found: Sequence[Reading], horizon: HorizonTerms) -> Reading:
    """Whose figures are shown: greatest cost(V), then greatest stable (none is greatest), then selfHostedUsd."""

    def weight(reading: Reading) -> tuple[Fraction, bool, Fraction]:
        return reading.cost(reading.volume), reading.stable is None, reading.stable or Fraction(0)

    most = max(map(weight, found))
    alike = [reading for reading in found if weight(reading) == most]
    return alike[0] if len(alike) == 1 else max(alike, key=lambda reading: tco(reading, horizon).self_hosted_usd)
