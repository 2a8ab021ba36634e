"""How uncertain each figure is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

_PRECISION = Context(prec=40)


@dataclass(frozen=True, slots=True)
class Sigmas:
    """The sigmas of independent log-normals whose medians are the given values."""

    draws: int
    seed: int
    volume: Decimal
    """Of all months alike."""
    api_price: Decimal
    overhead: Decimal
    throughput: Mapping[str, Decimal]
    """By `NodeKind.factor`."""
    node_price: Mapping[str, Decimal]
    """By `NodeKind.price`; of pay and of what is paid up front. What is not here is certain."""


def volume_sigma(measured: Decimal, outlook: Decimal) -> Decimal:
    """sqrt(measured² + outlook²): how well a month is known, and what next year may bring besides."""
    return _PRECISION.sqrt(measured * measured + outlook * outlook)
