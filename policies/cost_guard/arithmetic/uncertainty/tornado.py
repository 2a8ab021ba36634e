"""What each uncertainty does alone to the saving over the horizon: exact, without a draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction

from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import HorizonTerms, tco
from cost_guard.arithmetic.uncertainty.sigmas import Sigmas
from strict.numbers import NORMAL_P90

_PRECISION = Context(prec=40)

Given = tuple[Reading, HorizonTerms]
Factor = Callable[[Decimal], Fraction]
"""What a figure of this sigma is multiplied with."""


@dataclass(frozen=True, slots=True)
class HorizonSwing:
    """One uncertainty at its P10 (`low`) and at its P90 (`high`), the others at their medians."""

    name: str
    """The key in `uncertainty`, or growthPerMonth."""
    sigma: Decimal
    """The largest of them, where nodes have different ones; of growth that of a month."""
    low_factor: Decimal
    """What it is at its P10, as a multiple of its median; of growth, of 1 + g."""
    high_factor: Decimal
    low_saving_usd: Fraction
    """managedUsd − selfHostedUsd."""
    high_saving_usd: Fraction
    low_stable: Fraction | None
    """Tokens per month."""
    high_stable: Fraction | None


def tornado(reading: Reading, horizon: HorizonTerms, sigmas: Sigmas, outlook: Decimal) -> tuple[HorizonSwing, ...]:
    """Each uncertainty alone, the widest swing of the saving first.

    Throughput and node price move for all kinds of nodes at once, each by its own sigma. Growth is such that the
    volume after a year is at the P10 and P90 of `outlook`: 1 + g times e^(±1.2816·outlook/12).
    """
    monthly = _PRECISION.divide(outlook, Decimal(12))
    cases: dict[str, tuple[Decimal, Callable[[Factor], Given]]] = {
        "volume": (
            sigmas.volume,
            lambda by: (replace(reading, volume=reading.volume * by(sigmas.volume)), horizon),
        ),
        "throughput": (_most(sigmas.throughput.values()), lambda by: (_served(reading, sigmas, by), horizon)),
        "nodePrice": (_most(sigmas.node_price.values()), lambda by: (_priced(reading, sigmas, by), horizon)),
        "apiPrice": (
            sigmas.api_price,
            lambda by: (replace(reading, usd_per_million=reading.usd_per_million * by(sigmas.api_price)), horizon),
        ),
        "overhead": (sigmas.overhead, lambda by: (_besides(reading, by(sigmas.overhead)), horizon)),
        "growthPerMonth": (monthly, lambda by: (reading, _grown(horizon, by(monthly)))),
    }
    found = [_swing(name, sigma, case) for name, (sigma, case) in cases.items()]
    return tuple(sorted(found, key=lambda swing: -abs(swing.high_saving_usd - swing.low_saving_usd)))


def _swing(name: str, sigma: Decimal, case: Callable[[Factor], Given]) -> HorizonSwing:
    (low, low_saving), (high, high_saving) = (_outcome(*case(_by(sign))) for sign in (-1, 1))
    down, up = (_PRECISION.exp(sign * NORMAL_P90 * sigma) for sign in (-1, 1))
    return HorizonSwing(name, sigma, down, up, low_saving, high_saving, low, high)


def _outcome(reading: Reading, horizon: HorizonTerms) -> tuple[Fraction | None, Fraction]:
    over = tco(reading, horizon)
    return reading.stable, over.managed_usd - over.self_hosted_usd


def _by(sign: int) -> Factor:
    return lambda sigma: Fraction(_PRECISION.exp(sign * NORMAL_P90 * sigma))


def _most(sigmas: Iterable[Decimal]) -> Decimal:
    return max(sigmas, default=Decimal(0))


def _served(reading: Reading, sigmas: Sigmas, by: Factor) -> Reading:
    def faster(node: NodeKind) -> NodeKind:
        factor = by(sigmas.throughput[node.factor])
        served, of_month = node.tokens_per_second * factor, node.tokens_per_month * factor
        return replace(node, tokens_per_second=served, tokens_per_month=of_month)

    return replace(reading, nodes=tuple(map(faster, reading.nodes)), added=faster(reading.added))


def _priced(reading: Reading, sigmas: Sigmas, by: Factor) -> Reading:
    def dearer(node: NodeKind) -> NodeKind:
        factor = by(sigmas.node_price.get(node.price, Decimal(0)))
        return replace(node, usd_per_month=node.usd_per_month * factor, upfront_usd=node.upfront_usd * factor)

    return replace(reading, nodes=tuple(map(dearer, reading.nodes)), added=dearer(reading.added))


def _besides(reading: Reading, factor: Fraction) -> Reading:
    overhead, each = reading.overhead_usd_per_month * factor, reading.usd_per_node_month * factor
    return replace(reading, overhead_usd_per_month=overhead, usd_per_node_month=each)


def _grown(horizon: HorizonTerms, factor: Fraction) -> HorizonTerms:
    growth = (1 + Fraction(horizon.growth_per_month)) * factor - 1
    return replace(horizon, growth_per_month=_PRECISION.divide(Decimal(growth.numerator), Decimal(growth.denominator)))
