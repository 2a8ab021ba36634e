"""The cost over time, exact: both sides month by month, what is committed, where the sums cross, when to begin and end.

Powers of a twelfth have 60 digits; all else is rational. Month t = 1, 2, …, T; f(t) = (1 + i)^(−t/12).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from cost_guard.arithmetic.months.commitments import Commitment, Running, commitments
from cost_guard.arithmetic.months.crossings import Crossing, crossings
from cost_guard.arithmetic.reading import Reading

_PRECISION = Context(prec=60)


@dataclass(frozen=True, slots=True)
class HorizonTerms:
    """How long, and what changes in that time. Money is in USD."""

    months: int
    """T; at least 1."""
    upfront_usd: Fraction = Fraction(0)
    residual_usd: Fraction = Fraction(0)
    """What is left of it at the end."""
    api_price_decline_per_year: Decimal = Decimal(0)
    """d; less than 1."""
    discount_rate_per_year: Decimal = Decimal(0)
    """i; more than −1."""
    growth_per_month: Decimal = Decimal(0)
    """g; more than −1."""
    running: tuple[Running, ...] = ()
    """Commitments of a baseline that run already."""

    def growth(self, month: int) -> Fraction:
        """(1 + g)^(t − 1)."""
        return (1 + Fraction(self.growth_per_month)) ** (month - 1)

    def decline(self, month: int) -> Fraction:
        """(1 − d)^((t − 1)/12)."""
        return _yearly(1 - self.api_price_decline_per_year, month - 1)

    def worth(self, month: int) -> Fraction:
        """f(t)."""
        return _yearly(1 + self.discount_rate_per_year, -month)


Horizon = HorizonTerms
"""The name that stands in what is being written beside this; it goes when that has landed."""


@dataclass(frozen=True, slots=True)
class TcoMonth:
    """Month `number`; money in undiscounted USD, the sums from the beginning to the month's end."""

    number: int
    volume: Fraction
    """Vₜ, in tokens."""
    nodes: int
    """N + n(Vₜ)."""
    commitment_usd: Fraction
    """Uₜ: paid up front for the commitments that begin with the month."""
    self_hosted_usd: Fraction
    """Bₜ: of this month, without `commitment_usd`."""
    managed_usd: Fraction
    """Mₜ."""
    cost_usd: Fraction
    """cost(Vₜ): with what is paid up front spread over its commitment."""
    self_hosted_sum_usd: Fraction
    """With upfrontUsd and every Uₜ so far."""
    managed_sum_usd: Fraction
    owed_usd: Fraction
    """owed(t): what the given nodes' commitments still come to after the month."""


@dataclass(frozen=True)
class Tco:
    """What the horizon comes to. Sums are present values, but where it is said otherwise."""

    months: tuple[TcoMonth, ...]
    self_hosted_usd: Fraction
    managed_usd: Fraction
    running_usd: Fraction
    """What a baseline's running commitments still cost whoever leaves them: each month as it falls due, and what is
    owed after the horizon in full at its end."""
    crossings: tuple[Crossing, ...]
    """Of the undiscounted sums."""
    starts_usd: tuple[Fraction, ...]
    """S(m) for m = 0, …, T: managed for m months, then self-hosted. S(T), never, has `running_usd`."""
    ends_usd: tuple[Fraction, ...]
    """E(x) for x = 1, …, T: self-hosted for x months, then managed."""

    @property
    def owed_after(self) -> Fraction:
        """owed(T), undiscounted."""
        return self.months[-1].owed_usd

    @property
    def crossover_month(self) -> Fraction | None:
        """The first crossing to self-hosted."""
        return next((one.month for one in self.crossings if one.cheaper == "self-hosted"), None)

    @cached_property
    def switch_month(self) -> int | None:
        """The least t from which on every month pays, cost(Vₜ) ≤ Mₜ; None where the last one loses."""
        found = None
        for month in reversed(self.months):
            if month.cost_usd > month.managed_usd:
                break
            found = month.number
        return found

    @property
    def best_start(self) -> tuple[int, Fraction]:
        """The least m with the least S(m), and that; m = T means never."""
        usd, month = min((usd, month) for month, usd in enumerate(self.starts_usd))
        return month, usd

    @property
    def best_end(self) -> tuple[int, Fraction]:
        """The greatest x with the least E(x), and that."""
        usd, month = min((usd, -month) for month, usd in enumerate(self.ends_usd, 1))
        return -month, usd


def tco(reading: Reading, horizon: HorizonTerms) -> Tco:
    """Both sides over the horizon."""
    held = commitments(reading.nodes, horizon.running)
    months = tuple(_months(reading, horizon, held))
    worth = [horizon.worth(t) for t in range(horizon.months + 1)]
    paid = [m.commitment_usd * worth[m.number - 1] + m.self_hosted_usd * worth[m.number] for m in months]
    spread = [m.cost_usd * worth[m.number] for m in months]
    bought = [m.managed_usd * worth[m.number] for m in months]
    end = (months[-1].owed_usd - horizon.residual_usd) * worth[-1]
    ours, theirs = horizon.upfront_usd + sum(paid) + end, sum(bought, Fraction(0))
    running = _running(horizon, worth)
    return Tco(
        months=months,
        self_hosted_usd=ours,
        managed_usd=theirs,
        running_usd=running,
        crossings=crossings(
            [(m.commitment_usd, m.managed_usd - m.self_hosted_usd) for m in months],
            before=horizon.upfront_usd,
            after=horizon.residual_usd - months[-1].owed_usd,
        ),
        starts_usd=_starts(horizon, worth, spread, bought, ours, theirs + running),
        ends_usd=_ends(horizon, worth, paid, bought, [m.owed_usd for m in months]),
    )


def _months(reading: Reading, horizon: HorizonTerms, held: tuple[Commitment, ...]) -> Iterator[TcoMonth]:
    ours, theirs = horizon.upfront_usd, Fraction(0)
    count, each = len(reading.nodes), reading.added.cost_usd_per_month
    for number in range(1, horizon.months + 1):
        volume = reading.volume * horizon.growth(number)
        added = reading.added_at(volume)
        begun = sum((one.begun_usd(number) for one in held), Fraction(0))
        due = sum((one.due_usd(number) for one in held), Fraction(0))
        besides = reading.usd_per_node_month * (count + added) + reading.overhead_usd_per_month
        usd = due + added * each + besides
        managed = reading.managed(volume) * horizon.decline(number)
        ours, theirs = ours + begun + usd, theirs + managed
        yield TcoMonth(
            number=number,
            volume=volume,
            nodes=count + added,
            commitment_usd=begun,
            self_hosted_usd=usd,
            managed_usd=managed,
            cost_usd=reading.cost_with(added),
            self_hosted_sum_usd=ours,
            managed_sum_usd=theirs,
            owed_usd=sum((one.owed_usd(number) for one in held), Fraction(0)),
        )


def _starts(
    horizon: HorizonTerms,
    worth: list[Fraction],
    spread: list[Fraction],
    bought: list[Fraction],
    ours: Fraction,
    never: Fraction,
) -> tuple[Fraction, ...]:
    """S(m) = A(m) + selfHostedUsd − A(0); the residual is in all A alike, so it is left out of them."""
    before = list(accumulate(bought, initial=Fraction(0)))
    after = list(accumulate(reversed(spread), initial=Fraction(0)))[::-1]
    begun = [before[m] + horizon.upfront_usd * worth[m] + after[m] for m in range(horizon.months)]
    return (*(one + ours - begun[0] for one in begun), never)


def _ends(
    horizon: HorizonTerms, worth: list[Fraction], paid: list[Fraction], bought: list[Fraction], owed: list[Fraction]
) -> tuple[Fraction, ...]:
    """E(x)."""
    before = list(accumulate(paid))
    after = list(accumulate(reversed(bought), initial=Fraction(0)))[::-1]
    always = horizon.upfront_usd - horizon.residual_usd * worth[-1]
    return tuple(before[x - 1] + after[x] + owed[x - 1] * worth[x] + always for x in range(1, horizon.months + 1))


def _running(horizon: HorizonTerms, worth: list[Fraction]) -> Fraction:
    """Each month that they run × f(t); those after T at f(T)."""
    due = (
        one.nodes * one.usd_per_month * worth[min(month, horizon.months)]
        for one in horizon.running
        for month in range(1, one.months_left + 1)
    )
    return sum(due, Fraction(0))


def _yearly(rate: Decimal, months: int) -> Fraction:
    """rate^(months/12)."""
    if rate == 1 or months == 0:
        return Fraction(1)
    exponent = Decimal(months // 12) if months % 12 == 0 else _PRECISION.divide(Decimal(months), Decimal(12))
    return Fraction(_PRECISION.power(rate, exponent))
