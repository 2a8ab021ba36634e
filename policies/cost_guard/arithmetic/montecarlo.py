"""The break-even under uncertainty: volume, throughput, managed price and overhead as independent log-normals.

numpy is imported only where draws are taken: it costs more than all else of a verdict. Every figure is an order
statistic or a share of draws, and the log-normal factors are rounded to single precision: that hides the last bit, in
which numpy's exponential differs between processors (seen with and without AVX-512), so that the same seed gives the
same figures everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from math import isinf
from typing import TYPE_CHECKING

from cost_guard.arithmetic.breakeven import Staircase
from cost_guard.arithmetic.costing import Case
from cost_guard.scenario.scenario import HORIZON_MONTHS, QUOTED_THROUGHPUT_SIGMA, Uncertainty
from strict.numbers import NORMAL_P90

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CHUNK = 65_536
"""Draws that are worked on at once: what bounds the memory, besides one number a draw."""

BAND_DRAWS = 100_000
"""At most so many of the draws go into the bands."""

TENTHS = (1, 5, 9)
"""The quantiles that are told: P10, P50, P90."""

_SLACK = 1e-12
"""Relative: floats that are this near an integer, or V this near `stable`, are taken to be on it."""

_PRECISION = Context(prec=40)


@dataclass(frozen=True)
class Simulation:
    """Quantiles of `stable` in tokens per month, None where it is "none"; the share of draws with V ≥ stable."""

    p10: float | None
    p50: float | None
    p90: float | None
    probability: float


@dataclass(frozen=True)
class MonthBand:
    """P10, P50, P90 of the undiscounted sums up to the end of a month, USD."""

    month: int
    self_hosted_usd: tuple[float, float, float]
    managed_usd: tuple[float, float, float]


@dataclass(frozen=True)
class Swing:
    """What one uncertainty does alone, at its P10 (`low`) and at its P90 (`high`)."""

    name: str
    """The key in `uncertainty`."""
    sigma: Decimal
    low_factor: Decimal
    """What it is at its P10, as a multiple of its median."""
    high_factor: Decimal
    low_saving_usd: Fraction
    """managed(V) − cost(V), USD per month."""
    high_saving_usd: Fraction
    low_stable: Fraction | None
    """Tokens per month."""
    high_stable: Fraction | None


def simulate(case: Case) -> Simulation:
    """All draws, in chunks."""
    import numpy as np  # here and below to start faster: a command that draws nothing does not load it

    draws = case.scenario.uncertainty.draws
    found = np.empty(draws)
    reached = at = 0
    for drawn in _draws(case, draws):
        stable = stable_volumes(case.stairs, drawn.per, drawn.usd_per_token, drawn.overhead)
        reached += int(np.count_nonzero(drawn.volume * (1 + _SLACK) >= stable))
        found[at : at + len(stable)] = stable
        at += len(stable)
    p10, p50, p90 = (None if isinf(volume) else volume for volume in _quantiles(found))
    return Simulation(p10, p50, p90, reached / draws)


def stable_volumes(stairs: Staircase, per: Floats, usd_per_token: Floats, overhead: Floats) -> Floats:
    """`Staircase.stable` for many at once: the same closed form, +∞ where none exists."""
    import numpy as np  # to start faster

    node, flat = float(stairs.usd_per_node), stairs.nodes - stairs.spare
    earned = usd_per_token * per
    margin = earned - node
    exists = margin > 0
    rhs = stairs.spare * node + overhead
    steps = (rhs + earned) / np.where(exists, margin, 1.0)
    last = np.ceil(steps * (1 - _SLACK)) - 1
    nodes = np.where(last > flat, np.maximum(stairs.nodes, last + stairs.spare), stairs.nodes)
    return np.where(exists, (nodes * node + overhead) / usd_per_token, np.inf)


def needed_volumes(case: Case) -> Floats:
    """The projected volume that each of at most BAND_DRAWS draws needs to pay for good, sorted, +∞ where none suffices.

    The share of them that a volume is not below is the `probability` of a scenario with that volume.
    """
    import numpy as np  # to start faster

    found = [
        stable_volumes(case.stairs, drawn.per, drawn.usd_per_token, drawn.overhead)
        / (drawn.volume * (1 + _SLACK) / float(case.volume))
        for drawn in _draws(case, min(case.scenario.uncertainty.draws, BAND_DRAWS))
    ]
    return np.sort(np.concatenate(found))


def bands(case: Case) -> tuple[MonthBand, ...]:
    """The sums month by month, of at most BAND_DRAWS draws; what is paid up front to reserve is spread evenly."""
    import numpy as np  # to start faster

    horizon, work, stairs = case.scenario.horizon, case.scenario.workload, case.stairs
    drawn = list(_draws(case, min(case.scenario.uncertainty.draws, BAND_DRAWS)))
    volume, per, price, overhead = (np.concatenate(parts) for parts in zip(*(d.parts for d in drawn), strict=True))
    growth, decline = 1 + float(work.growth_per_month), 1 - float(horizon.api_price_decline_per_year)
    ours, theirs = np.full_like(volume, float(horizon.upfront_usd)), np.zeros_like(volume)
    found = []
    for month in range(1, (horizon.months or HORIZON_MONTHS) + 1):
        now = volume * growth ** (month - 1)
        nodes = np.maximum(stairs.nodes, np.ceil(now / per * (1 - _SLACK)) + stairs.spare)
        ours += nodes * float(stairs.usd_per_node) + overhead
        theirs += now * price * decline ** ((month - 1) / 12)
        found.append(MonthBand(month, _quantiles(ours.copy()), _quantiles(theirs.copy())))
    return tuple(found)


def tornado(case: Case) -> tuple[Swing, ...]:
    """Each uncertainty alone at its P10 and at its P90, the others at their medians; exact, without a draw.

    The widest swing of the saving comes first.
    """
    sigmas = case.scenario.uncertainty
    found = [
        _swing(case, name, sigma)
        for name, sigma in (
            ("volume", sigmas.volume),
            ("throughput", throughput_sigma(sigmas)),
            ("apiPrice", sigmas.api_price),
            ("overhead", sigmas.overhead),
        )
    ]
    return tuple(sorted(found, key=lambda swing: -abs(swing.high_saving_usd - swing.low_saving_usd)))


def _swing(case: Case, name: str, sigma: Decimal) -> Swing:
    down, up = (_PRECISION.exp(sign * NORMAL_P90 * sigma) for sign in (-1, 1))
    low, high = _scaled(case, name, down), _scaled(case, name, up)
    at_low, at_high = (one.stairs.managed(one.volume) - one.stairs.cost(one.volume) for one in (low, high))
    return Swing(name, sigma, down, up, at_low, at_high, low.stairs.stable, high.stairs.stable)


def _scaled(case: Case, name: str, factor: Decimal) -> Case:
    stairs, by = case.stairs, Fraction(factor)
    if name == "volume":
        return replace(case, volume=case.volume * by)
    if name == "throughput":
        return replace(case, stairs=replace(stairs, per=stairs.per * by))
    if name == "apiPrice":
        return replace(
            case, stairs=replace(stairs, usd_per_million=_PRECISION.multiply(stairs.usd_per_million, factor))
        )
    return replace(case, stairs=replace(stairs, overhead=stairs.overhead * by))


@dataclass(frozen=True)
class _Drawn:
    volume: Floats
    per: Floats
    usd_per_token: Floats
    overhead: Floats

    @property
    def parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.volume, self.per, self.usd_per_token, self.overhead


def _draws(case: Case, count: int) -> Iterator[_Drawn]:
    """The draws in chunks; draw i takes the i-th four normals of the seed's stream, however many are asked for."""
    import numpy as np  # to start faster

    given, stairs = case.scenario.uncertainty, case.stairs
    medians = np.array(
        [float(case.volume), float(stairs.per), float(stairs.usd_per_million) / 1e6, float(stairs.overhead)]
    )
    sigmas = np.array([float(one) for one in (given.volume, throughput_sigma(given), given.api_price, given.overhead)])
    stream = np.random.Generator(np.random.PCG64(given.seed))
    for start in range(0, count, CHUNK):
        normals = stream.standard_normal((min(CHUNK, count - start), len(sigmas)))
        factors = np.exp(normals * sigmas).astype(np.float32).astype(np.float64)
        yield _Drawn(*np.ascontiguousarray((factors * medians).T))


def throughput_sigma(given: Uncertainty) -> Decimal:
    """As given, else that of a quotation."""
    return QUOTED_THROUGHPUT_SIGMA if given.throughput is None else given.throughput


def _quantiles(values: Floats) -> tuple[float, float, float]:
    """P10, P50, P90 as order statistics: the smallest value that so many do not exceed. Reorders the values."""
    ranks = [-(-tenths * len(values) // 10) - 1 for tenths in TENTHS]
    values.partition(ranks)
    low, middle, high = (float(values[rank]) for rank in ranks)
    return low, middle, high
