"""What would flip the answer: from where on it pays, if one figure alone is another. Exact, without a draw.

Bounds are rounded to the side on which it pays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from cost_guard import wording
from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import tco
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.words import price_words, volume_words
from cost_guard.wording import DOWN, UP, to_decimal

MOST_BANDS = 1_000
"""Of losing volumes that are passed on the way down; beyond, only where it pays for good is told."""
NEVER = "at none"


@dataclass(frozen=True)
class Edge:
    """One figure, in words."""

    name: str
    now: str
    month: str
    """Where a month at the projected volume pays, "≥ $3.32/M tokens"."""
    horizon: str
    """Where the whole horizon does; empty where no single bound tells it."""


def edges(judged: Judged) -> tuple[Edge, ...]:
    """Of the volume, the managed price and the nodes' price."""
    reading = judged.reading
    now = price_words(reading.usd_per_million)
    over = reading.usd_per_million * judged.tco.self_hosted_usd / judged.tco.managed_usd
    paid = reading.cost(reading.volume) / reading.volume * 10**6
    volume = Edge("volume", f"{volume_words(reading.volume)}/month", " ".join(_volumes(reading)), "")
    price = Edge("managed price", now, f"≥ {price_words(paid, UP)}", f"≥ {price_words(over, UP)}" if over > 0 else "")
    return volume, price, _nodes(judged)


def _volumes(reading: Reading) -> Iterator[str]:
    """The paying volumes around the projected one, or the next above it, and from where it pays for good."""
    volume, stable = reading.volume, reading.stable
    if stable is not None and volume >= stable:
        yield f"≥ {volume_words(stable, UP)}"
        return
    good = "never for good" if stable is None else f"for good ≥ {volume_words(stable, UP)}"
    if not reading.pays(volume):
        above = reading.next_paying(volume)
        yield "at none above it" if above is None else f"≥ {volume_words(above, UP)}"
        if above is not None and above != stable:
            yield f"({good})"
        return
    low, band = _paying_from(reading), reading.losing_after(volume)
    if low is not None and band is not None:
        yield f"{volume_words(low, UP)} to {volume_words(band.lo, DOWN)},"
    yield good


def _paying_from(reading: Reading) -> Fraction | None:
    """The least volume from which all up to a paying projection pay; None where too many bands lie below it."""
    edge = reading.first
    for _ in range(MOST_BANDS):
        if edge is None:
            return None
        band = reading.losing_after(edge)
        if band is None or band.lo >= reading.volume:
            return edge
        edge = band.hi
    return None


def _nodes(judged: Judged) -> Edge:
    """All nodes' prices by one factor; a month, and the sums over the horizon, are lines in it."""
    reading, over = judged.reading, judged.tco
    volume, each = reading.volume, reading.added.cost_usd_per_month
    rented = sum((node.cost_usd_per_month for node in reading.nodes), reading.added_at(volume) * each)
    twice = tco(_at_twice(reading), judged.horizon).self_hosted_usd - over.self_hosted_usd
    month = 1 + (reading.managed(volume) - reading.cost(volume)) / rented if rented else None
    horizon = 1 + (over.managed_usd - over.self_hosted_usd) / twice if twice else None
    alike = len(set(reading.nodes)) == 1 and each > 0

    def told(factor: Fraction | None) -> str:
        if factor is None:
            return ""
        if factor <= 0:
            return NEVER
        change = wording.percent(to_decimal(factor - 1))
        change = change if factor < 1 else f"+{change}"
        whole = wording.usd(to_decimal(Fraction(floor(each * factor))))
        return f"≤ {whole}/month ({change})" if alike else f"≤ {change}"

    now = f"{wording.usd(to_decimal(each))}/month" if alike else ""
    return Edge("node price", now, told(month), told(horizon))


def _at_twice(reading: Reading) -> Reading:
    def dear(node: NodeKind) -> NodeKind:
        return replace(node, usd_per_month=2 * node.usd_per_month, upfront_usd=2 * node.upfront_usd)

    return replace(reading, nodes=tuple(map(dear, reading.nodes)), added=dear(reading.added))
