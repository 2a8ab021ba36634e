"""Nodes and readings as the examples of the arithmetic give them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from cost_guard.arithmetic.node import NodeKind, tokens_per_month
from cost_guard.arithmetic.reading import Reading

Number = int | str | Fraction


def kind(usd_per_month: Number, tokens_per_second: Number, *, rho: Number = "1.3", **given: object) -> NodeKind:
    """A node at u = 0.7."""
    served = Fraction(tokens_per_second)
    name = str(given.pop("name", ""))
    of_month = tokens_per_month(served, Fraction("0.7"), Fraction(rho))
    return NodeKind(name, Fraction(usd_per_month), served, of_month, **given)  # type: ignore[arg-type]


def reading(
    nodes: Sequence[NodeKind],
    price: Number,
    volume: Number,
    *,
    added: NodeKind | None = None,
    spare: int = 1,
    overhead: Number = 4100,
    each: Number = 0,
    rho: Number = "1.3",
) -> Reading:
    """The first reading of these nodes; what is added is the first of them, if not said."""
    return Reading(
        name="first",
        nodes=tuple(nodes),
        added=added or nodes[0],
        spare_nodes=spare,
        overhead_usd_per_month=Fraction(overhead),
        usd_per_node_month=Fraction(each),
        usd_per_million=Fraction(price),
        volume=Fraction(volume),
        peak_to_mean=Fraction(rho),
    )


def billions(tokens: Fraction | None) -> float | None:
    """Of tokens, to the token's thousandth of a million."""
    return None if tokens is None else round(float(tokens) / 1e9, 6)
