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


def dollars(amount: Decimal) -> str:
    """Whole dollars: the cents of two years are noise."""
    return wording.usd(amount.quantize(Decimal(1)))


def month_usd(amount: Decimal | None) -> str:
    """ "$19,940/month"."""
    return "unknown" if amount is None else f"{wording.usd(amount)}/month"


def volume(tokens: Decimal | None) -> str:
    """ "3.988B"; none where there is none."""
    return "none" if tokens is None else wording.tokens(tokens)
