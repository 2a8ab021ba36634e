"""The cost over time: both sides month by month, with growth, falling API prices, commitments and discounting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from cost_guard.arithmetic.costing import Case
from cost_guard.arithmetic.mix import Sunk, Terms
from cost_guard.scenario.scenario import HORIZON_MONTHS

_PRECISION = Context(prec=60)
"""Volumes, prices and discounts of a month: exact where they terminate within 60 digits."""


@dataclass(frozen=True)
class Month:
    """Month `number` = 1, 2, …; money in undiscounted USD, the sums from the beginning to the month's end."""

    number: int
    volume: Fraction
    """V·(1 + g)^(t − 1), in tokens."""
    nodes: int
    """n(V) of that volume."""
    paid_nodes: int
    """`nodes`, or more where more are committed to."""
    upfront_usd: Fraction
    """Paid at the month's beginning."""
    self_hosted_usd: Fraction
    """Of this month, without `upfront_usd`."""
    managed_usd: Fraction
    self_hosted_sum_usd: Fraction
    managed_sum_usd: Fraction


@dataclass(frozen=True)
class Projection:
    """The horizon: its months and what they come to."""

    months: tuple[Month, ...]
    self_hosted_usd: Fraction
    """Net present value: month t × (1 + r)^(−t/12), what is paid up front at its own day."""
    managed_usd: Fraction
    crossover_month: Fraction | None
    """Where the undiscounted sums first meet for self-hosting to be the cheaper; 0 where it is so from the first day;
    None where they do not within the horizon."""


def project(case: Case) -> Projection:
    """Both sides over `horizon.months`."""
    horizon = case.scenario.horizon
    months = tuple(_months(case))
    rate = 1 + horizon.discount_rate_per_year
    ours, theirs = Fraction(0), Fraction(0)
    for month in months:
        now = _yearly(rate, -month.number)
        ours += month.self_hosted_usd * now + month.upfront_usd * _yearly(rate, 1 - month.number)
        theirs += month.managed_usd * now
    return Projection(months, ours, theirs, _crossover(months))


def _months(case: Case) -> Iterator[Month]:
    work, horizon, stairs = case.scenario.workload, case.scenario.horizon, case.stairs
    commitments = _Commitments(case.terms, case.sunk)
    price = Fraction(stairs.usd_per_million) / 10**6
    ours, theirs = Fraction(0), Fraction(0)
    for number in range(1, (horizon.months or HORIZON_MONTHS) + 1):
        growth = _PRECISION.power(1 + work.growth_per_month, number - 1)
        volume = case.volume * Fraction(growth)
        needed = stairs.nodes_at(volume)
        paid, begun = commitments.pay(needed)
        upfront = begun * case.terms.upfront_usd + (Fraction(horizon.upfront_usd) if number == 1 else 0)
        cost = paid * case.terms.usd_per_month + stairs.overhead
        managed = volume * price * _yearly(1 - horizon.api_price_decline_per_year, number - 1)
        ours, theirs = ours + upfront + cost, theirs + managed
        yield Month(number, volume, needed, paid, upfront, cost, managed, ours, theirs)


class _Commitments:
    """Nodes that are committed to, month after month; those that end are renewed as far as they are needed."""

    def __init__(self, terms: Terms, sunk: Sunk) -> None:
        self._months = terms.commitment_months
        self._running = [(sunk.nodes, sunk.months_left)] if sunk.nodes else []
        """(nodes, months left)."""

    def pay(self, needed: int) -> tuple[int, int]:
        """How many nodes this month is paid for, and how many of them begin a commitment with it."""
        held = sum(nodes for nodes, _ in self._running)
        begun = max(0, needed - held)
        self._running.append((begun, self._months))
        self._running = [(nodes, left - 1) for nodes, left in self._running if left > 1 and nodes]
        return held + begun, begun


def _yearly(rate: Decimal, months: int) -> Fraction:
    """rate^(months/12)."""
    if rate == 1 or months == 0:
        return Fraction(1)
    exponent = Decimal(months // 12) if months % 12 == 0 else _PRECISION.divide(Decimal(months), Decimal(12))
    return Fraction(_PRECISION.power(rate, exponent))


def _crossover(months: tuple[Month, ...]) -> Fraction | None:
    ahead = Fraction(0)
    for month in months:
        before = ahead - month.upfront_usd
        ahead = month.managed_sum_usd - month.self_hosted_sum_usd
        if ahead < 0:
            continue
        if before == 0:
            return Fraction(month.number - 1)
        return month.number - 1 - before / (ahead - before)
    return None
