"""Words that report and charts share."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.wording import to_decimal

NAMES = {
    "volume": "volume",
    "growthPerMonth": "growth",
    "throughput": "throughput",
    "nodePrice": "node price",
    "apiPrice": "API price",
    "overhead": "overhead",
}
"""The keys of `uncertainty`, as people say them."""

_THREE_DIGITS = Context(prec=3)


def compact_usd(amount: Fraction | Decimal) -> str:
    """Money to three digits: "$27.9k", "-$1.24M", "$592", "$4.40"."""
    exact = to_decimal(amount) if isinstance(amount, Fraction) else amount
    rounded = _THREE_DIGITS.plus(abs(exact))
    text = wording.usd(rounded) if rounded < 1000 else f"${wording.tokens(rounded)}"
    return f"-{text}" if exact < 0 else text


def compact_tokens(volume: Fraction) -> str:
    """A volume to four digits: "3.988B"."""
    return wording.tokens(to_decimal(volume))


def crossover_words(month: Decimal | None) -> str:
    """Where the undiscounted sums meet."""
    if month is None:
        return "the sums do not meet"
    return "cheaper from the first day" if month == 0 else f"the sums meet in month {month:.2f}"
