"""How the costs of both sides run over a horizon, in words: title, subtitle and report say it from one value."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic.months.crossings import Crossing
from cost_guard.verdict.rule import Judged
from cost_guard.wording import to_decimal
from scripts.crossover.report.words import compact_usd

MOST_STRETCHES = 2
"""That are spelt out; of more, the first change and the last are told."""


@dataclass(frozen=True)
class Course:
    """Money in USD; what is saved may be negative."""

    months: int
    saving_usd: Fraction
    """managedUsd − selfHostedUsd, present values: what the rule `horizon` judges."""
    undiscounted_saving_usd: Fraction
    """The same of the sums that are drawn."""
    discount_rate_per_year: Decimal
    crossings: tuple[Crossing, ...]
    """Of the undiscounted sums."""
    best_start: int
    """Months managed before self-hosting; `months` is never."""
    start_saving_usd: Fraction
    """What the horizon saves with that start, a present value."""

    @classmethod
    def of(cls, judged: Judged) -> Course:
        """Of one reading."""
        tco, horizon = judged.tco, judged.horizon
        start, start_usd = tco.best_start
        last = tco.months[-1]
        ours = last.self_hosted_sum_usd + tco.owed_after - horizon.residual_usd
        return cls(
            months=len(tco.months),
            saving_usd=tco.managed_usd - tco.self_hosted_usd,
            undiscounted_saving_usd=last.managed_sum_usd - ours,
            discount_rate_per_year=horizon.discount_rate_per_year,
            crossings=tco.crossings,
            best_start=start,
            start_saving_usd=tco.managed_usd - start_usd,
        )

    @property
    def title(self) -> str:
        """ "Over 24 months self-hosting costs $300k more", with the rate where sums are discounted."""
        rate = self.discount_rate_per_year
        at = f", at {wording.percent(rate)} a year" if rate else ""
        return f"Over {wording.count(self.months, 'month')} self-hosting {_gap(self.saving_usd)}{at}"

    @property
    def drawn(self) -> str:
        """What the undiscounted sums come to, where that is not what the title says; else empty."""
        return f"undiscounted it {_gap(self.undiscounted_saving_usd)}" if self.discount_rate_per_year else ""

    @property
    def ahead(self) -> str:
        """Who has paid less so far, and when that changes."""
        stretches = self._stretches()
        if not stretches:
            return "managed is ahead all along"
        if len(stretches) > MOST_STRETCHES:
            first, last = self.crossings[0], self.crossings[-1]
            return (
                f"the lead changes {len(self.crossings)} times, first in month {_month(first.month)}; from month "
                f"{_month(last.month)} on {_side(last)} is ahead"
            )
        told = [_stretch(begin, end) for begin, end in stretches]
        return f"self-hosting is ahead {' and '.join(told)}"

    @property
    def start(self) -> str:
        """When self-hosting had best begin."""
        if self.best_start == self.months:
            return "best start: never"
        if self.best_start == 0:
            return "best start: now"
        return f"best start: after month {self.best_start}, which {_gap(self.start_saving_usd)}"

    def _stretches(self) -> list[tuple[Fraction, Fraction | None]]:
        """From when to when self-hosting is ahead; None is to the end. Crossings take turns, self-hosted first."""
        months = [crossing.month for crossing in self.crossings]
        return [(begin, months[at + 1] if at + 1 < len(months) else None) for at, begin in enumerate(months)][::2]


def crossing_words(crossing: Crossing) -> str:
    """Beside its mark in the chart, on two lines."""
    return f"{_side(crossing)} ahead\nfrom month {_month(crossing.month)}"


def _side(crossing: Crossing) -> str:
    return "self-hosting" if crossing.cheaper == "self-hosted" else "managed"


def _gap(saving: Fraction) -> str:
    return f"saves {compact_usd(saving)}" if saving >= 0 else f"costs {compact_usd(-saving)} more"


def _stretch(begin: Fraction, end: Fraction | None) -> str:
    if begin == 0:
        return "all along" if end is None else f"from the first day to month {_month(end)}"
    return f"from month {_month(begin)} {'on' if end is None else f'to {_month(end)}'}"


def _month(month: Fraction) -> str:
    return wording.trimmed(round(to_decimal(month), 2))
