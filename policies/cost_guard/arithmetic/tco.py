"""The cost over time, exact: both sides month by month, what is committed, where the sums cross, when to begin and end.

Powers of a twelfth have 60 digits; all else is rational. Month t = 1, 2, …, T; f(t) = (1 + i)^(−t/12).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
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
        return _grown(self.growth_per_month, month - 1)

    def decline(self, month: int) -> Fraction:
        """(1 − d)^((t − 1)/12)."""
        return _yearly(1 - self.api_price_decline_per_year, month - 1)

    def worth(self, month: int) -> Fraction:
        """f(t)."""
        return _yearly(1 + self.discount_rate_per_year, -month)


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
    horizon: HorizonTerms

    @cached_property
    def self_hosted_usd(self) -> Fraction:
        """What is owed after the horizon counts in full."""
        end = (self.owed_after - self.horizon.residual_usd) * self._worth[-1]
        return self.horizon.upfront_usd + sum(self._paid) + end

    @cached_property
    def managed_usd(self) -> Fraction:
        """ΣMₜ·f(t)."""
        return sum(self._bought, Fraction(0))

    @cached_property
    def running_usd(self) -> Fraction:
        """What a baseline's running commitments still cost whoever leaves them.

        Each month as it falls due, and what is owed after the horizon in full at its end.
        """
        due = (
            one.nodes * one.usd_per_month * self._worth[min(month, self.horizon.months)]
            for one in self.horizon.running
            for month in range(1, one.months_left + 1)
        )
        return sum(due, Fraction(0))

    @property
    def owed_after(self) -> Fraction:
        """owed(T), undiscounted."""
        return self.months[-1].owed_usd

    @cached_property
    def crossings(self) -> tuple[Crossing, ...]:
        """Of the undiscounted sums."""
        return crossings(
            [(month.commitment_usd, month.managed_usd - month.self_hosted_usd) for month in self.months],
            before=self.horizon.upfront_usd,
            after=self.horizon.residual_usd - self.owed_after,
        )

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

    @cached_property
    def starts_usd(self) -> tuple[Fraction, ...]:
        """S(m) for m = 0, …, T: managed for m months, then self-hosted. S(T), never, has `running_usd`."""
        spread = [month.cost_usd * worth for month, worth in zip(self.months, self._worth[1:], strict=True)]
        after = _from_each(spread)
        # The residual is in every A(m) alike, so it is left out of them.
        begun = [
            before + self.horizon.upfront_usd * worth + later
            for before, worth, later in zip(_before_each(self._bought), self._worth, after, strict=True)
        ]
        more = self.self_hosted_usd - begun[0]
        return (*(usd + more for usd in begun[:-1]), self.managed_usd + self.running_usd)

    @cached_property
    def ends_usd(self) -> tuple[Fraction, ...]:
        """E(x) for x = 1, …, T: self-hosted for x months, then managed."""
        always = self.horizon.upfront_usd - self.horizon.residual_usd * self._worth[-1]
        paid, bought = _before_each(self._paid)[1:], _from_each(self._bought)[1:]
        owed = (month.owed_usd * worth for month, worth in zip(self.months, self._worth[1:], strict=True))
        return tuple(always + sum(parts) for parts in zip(paid, owed, bought, strict=True))

    @cached_property
    def best_start(self) -> tuple[int, Fraction]:
        """The least m with the least S(m), and that; m = T means never."""
        usd, month = min((usd, month) for month, usd in enumerate(self.starts_usd))
        return month, usd

    @cached_property
    def best_end(self) -> tuple[int, Fraction]:
        """The greatest x with the least E(x), and that."""
        usd, month = min((usd, -month) for month, usd in enumerate(self.ends_usd, 1))
        return -month, usd

    @cached_property
    def _worth(self) -> tuple[Fraction, ...]:
        """f(0), …, f(T)."""
        return tuple(self.horizon.worth(t) for t in range(self.horizon.months + 1))

    @cached_property
    def _paid(self) -> tuple[Fraction, ...]:
        """Uₜ·f(t−1) + Bₜ·f(t)."""
        worth = self._worth
        return tuple(m.commitment_usd * worth[m.number - 1] + m.self_hosted_usd * worth[m.number] for m in self.months)

    @cached_property
    def _bought(self) -> tuple[Fraction, ...]:
        """Mₜ·f(t)."""
        return tuple(month.managed_usd * self._worth[month.number] for month in self.months)


def _before_each(values: Sequence[Fraction]) -> list[Fraction]:
    """The sums of the first 0, 1, …, all."""
    return list(accumulate(values, initial=Fraction(0)))


def _from_each(values: Sequence[Fraction]) -> list[Fraction]:
    """The sums from the first on, from the second on, …, of none."""
    return list(accumulate(reversed(values), initial=Fraction(0)))[::-1]


def tco(reading: Reading, horizon: HorizonTerms) -> Tco:
    """Both sides over the horizon."""
    return Tco(tuple(_months(reading, horizon, commitments(reading.nodes, horizon.running))), horizon)


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


@lru_cache(maxsize=4096)
def _grown(rate_per_month: Decimal, months: int) -> Fraction:
    """(1 + rate)^months."""
    return (1 + Fraction(rate_per_month)) ** months


@lru_cache(maxsize=4096)
def _yearly(rate: Decimal, months: int) -> Fraction:
    """rate^(months/12)."""
    if rate == 1 or months == 0:
        return Fraction(1)
    exponent = Decimal(months // 12) if months % 12 == 0 else _PRECISION.divide(Decimal(months), Decimal(12))
    return Fraction(_PRECISION.power(rate, exponent))
