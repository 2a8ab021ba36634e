"""The figures under uncertainty: volume, managed price, overhead, throughput and node prices as log-normals.

numpy is imported only where draws are taken: it costs more than all else of a verdict. Every figure is an order
statistic or a share of draws, and the log-normal factors are rounded to single precision: that hides the last bit, in
which numpy's exponential differs between processors (seen with and without AVX-512), so that the same seed gives the
same figures everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isinf
from typing import TYPE_CHECKING

from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import HorizonTerms
from cost_guard.arithmetic.uncertainty.drawn import Drawn, DrawnReading, FloatTerms
from cost_guard.arithmetic.uncertainty.sigmas import Sigmas

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CHUNK = 65_536
"""Draws that are worked on at once: what bounds the memory, besides one number for each draw of one reading."""

HORIZON_DRAWS = 100_000
"""At most so many of the draws are followed over the horizon."""

TENTHS = (1, 5, 9)
"""The quantiles that are told: P10, P50, P90."""

_SLACK = 1e-12
"""Relative: what is this near is taken to be reached."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Quantiles of `stable` in tokens per month, None where it is "none"; and shares of draws."""

    p10: float | None
    p50: float | None
    p90: float | None
    probability: float
    """With V ≥ stable."""
    probability_pays: float
    """With cost(V) ≤ managed(V)."""
    probability_horizon: float
    """With selfHostedUsd ≤ managedUsd, of at most HORIZON_DRAWS."""


@dataclass(frozen=True, slots=True)
class HorizonBand:
    """P10, P50, P90 of the undiscounted sums up to the end of a month, USD."""

    month: int
    self_hosted_usd: tuple[float, float, float]
    managed_usd: tuple[float, float, float]


def simulate(readings: Sequence[Reading], horizon: HorizonTerms, sigmas: Sigmas) -> tuple[Chances, ...]:
    """Of each reading; all see the same draws. Those of one chunk are kept, more are drawn again for each reading."""
    kept = list(draws(readings, sigmas, sigmas.draws)) if sigmas.draws <= CHUNK else None
    return tuple(_chances(one, readings, horizon, sigmas, kept) for one in readings)


def _chances(
    reading: Reading,
    readings: Sequence[Reading],
    horizon: HorizonTerms,
    sigmas: Sigmas,
    kept: Sequence[Drawn] | None,
) -> Chances:
    counts = _Counts(reading, horizon, sigmas.draws)
    for drawn in draws(readings, sigmas, sigmas.draws) if kept is None else kept:
        counts.add(drawn)
    return counts.chances()


def needed_volumes(reading: Reading, readings: Sequence[Reading], sigmas: Sigmas) -> Floats:
    """The projected volume that each of at most HORIZON_DRAWS draws needs to pay for good, sorted, +∞ where none does.

    The share of them that a volume is not below is the `probability` of the reading at that volume. `readings` are all
    that share the draws.
    """
    import numpy as np  # here and below to start faster: a command that draws nothing does not load it

    found = [
        DrawnReading.of(reading, drawn).stable() / (drawn.volume * (1 + _SLACK))
        for drawn in draws(readings, sigmas, min(sigmas.draws, HORIZON_DRAWS))
    ]
    return np.sort(np.concatenate(found))


def bands(
    reading: Reading, readings: Sequence[Reading], horizon: HorizonTerms, sigmas: Sigmas
) -> tuple[HorizonBand, ...]:
    """The sums month by month, of at most HORIZON_DRAWS draws."""
    import numpy as np  # to start faster

    terms = FloatTerms.of(reading, horizon)
    months: list[list[tuple[Floats, Floats]]] = [[] for _ in range(horizon.months)]
    for drawn in draws(readings, sigmas, min(sigmas.draws, HORIZON_DRAWS)):
        for number, sums in enumerate(DrawnReading.of(reading, drawn).sums(terms)):
            months[number].append(sums)
    found = []
    for number, parts in enumerate(months, 1):
        ours, theirs = (np.concatenate(side) for side in zip(*parts, strict=True))
        found.append(HorizonBand(number, quantiles(ours), quantiles(theirs)))
    return tuple(found)


class _Counts:
    """What has been found of one reading so far."""

    def __init__(self, reading: Reading, horizon: HorizonTerms, draws: int) -> None:
        import numpy as np  # to start faster

        self._reading, self._terms = reading, FloatTerms.of(reading, horizon)
        self._stable = np.empty(draws)
        self._at = self._reached = self._pays = self._horizon = 0

    def add(self, drawn: Drawn) -> None:
        import numpy as np  # to start faster

        made = DrawnReading.of(self._reading, drawn)
        stable, volumes = made.stable(), made.volumes
        self._stable[self._at : self._at + len(stable)] = stable
        self._reached += int(np.count_nonzero(volumes * (1 + _SLACK) >= stable))
        self._pays += int(np.count_nonzero(made.cost() <= volumes * made.price * (1 + _SLACK)))
        followed = max(0, HORIZON_DRAWS - self._at)
        if followed:
            ours, theirs = made.over(self._terms)
            self._horizon += int(np.count_nonzero((ours <= theirs * (1 + _SLACK))[:followed]))
        self._at += len(stable)

    def chances(self) -> Chances:
        p10, p50, p90 = (None if isinf(volume) else volume for volume in quantiles(self._stable))
        horizon = self._horizon / min(self._at, HORIZON_DRAWS)
        return Chances(p10, p50, p90, self._reached / self._at, self._pays / self._at, horizon)


def draws(readings: Sequence[Reading], sigmas: Sigmas, count: int) -> Iterator[Drawn]:
    """The factors in chunks; draw i takes the i-th normals of the seed's stream, however many are asked for."""
    import numpy as np  # to start faster

    nodes = [node for reading in readings for node in reading.nodes]
    served, priced = sorted({node.factor for node in nodes}), sorted({node.price for node in nodes})
    spread = [sigmas.volume, sigmas.api_price, sigmas.overhead]
    spread += [sigmas.throughput[name] for name in served]
    spread += [sigmas.node_price.get(name, Decimal(0)) for name in priced]
    widths = np.array([float(one) for one in spread])
    stream = np.random.Generator(np.random.PCG64(sigmas.seed))
    for start in range(0, count, CHUNK):
        normals = stream.standard_normal((min(CHUNK, count - start), len(widths)))
        normals *= widths
        factors = np.ascontiguousarray(np.exp(normals).astype(np.float32).T).astype(np.float64)
        volume, price, overhead, *rest = factors
        by_served, by_priced = rest[: len(served)], rest[len(served) :]
        yield Drawn(
            volume,
            price,
            overhead,
            dict(zip(served, by_served, strict=True)),
            dict(zip(priced, by_priced, strict=True)),
        )


def quantiles(values: Floats) -> tuple[float, float, float]:
    """P10, P50, P90 as order statistics: the smallest value that so many do not exceed. Reorders the values."""
    ranks = [-(-tenths * len(values) // 10) - 1 for tenths in TENTHS]
    values.partition(ranks)
    low, middle, high = (float(values[rank]) for rank in ranks)
    return low, middle, high
