"""Money, volumes and dates as people read them, and numbers as JSON has them.

Bounds round to the side on which the statement stays true.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

_UNITS = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))

_WIDE = Context(prec=100)
"""As many digits as a fleet of the slowest nodes for the largest volume costs cents."""

NEAREST, UP, DOWN = ROUND_HALF_EVEN, ROUND_CEILING, ROUND_FLOOR


def tokens(volume: Decimal, rounding: str = NEAREST) -> str:
    """A volume to four digits: 3988000000 is "3.988B", 500000000 is "500M"."""
    rounded = Context(prec=4, rounding=rounding).plus(volume)
    for size, letter in _UNITS:
        if rounded >= size:
            return f"{trimmed(rounded / size)}{letter}"
    return trimmed(rounded)


def tokens_from(volume: Decimal) -> str:
    """A volume from which on something is true."""
    return tokens(volume, UP)


def usd(amount: Decimal, rounding: str = NEAREST) -> str:
    """Money: whole dollars from 1,000 unless there are cents worth telling; "$19,940", "$16,293.60", "$1.81"."""
    cents = amount.quantize(Decimal("0.01"), rounding=rounding, context=_WIDE)
    if 0 < abs(amount) < Decimal("0.1"):
        cents = Context(prec=2, rounding=rounding).plus(amount)
        return f"{'-' if amount < 0 else ''}${abs(cents):f}"
    text = f"{abs(cents):,.2f}".removesuffix(".00")
    return f"{'-' if cents < 0 else ''}${text}"


def per_million(price: Decimal, rounding: str = NEAREST) -> str:
    """A price: "$5/M tokens", "$0.155/M tokens": below a dollar a tenth of a cent is money at billions of tokens."""
    if Decimal("0.1") <= price < 1:
        digits = price.quantize(Decimal("0.001"), rounding=rounding, context=_WIDE)
        return f"${digits if digits % Decimal('0.01') else digits.quantize(Decimal('0.01'))}/M tokens"
    return f"{usd(price, rounding)}/M tokens"


def percent(share: Decimal, places: int = 1) -> str:
    """0.125 is "12.5 %"; ".0" is left out."""
    value = (share * 100).quantize(Decimal(1).scaleb(-places), context=_WIDE)
    return f"{trimmed(value)} %"


def count(number: int, noun: str) -> str:
    """1 node, 2 nodes."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def rate(tokens_per_second: Decimal, rounding: str = NEAREST) -> str:
    """ "4,759 tokens/s"."""
    return f"{tokens_per_second.to_integral_value(rounding=rounding):,} tokens/s"


def trimmed(value: Decimal) -> str:
    """ "6,000,000,000", "0.25": no zeros at the end."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_PRECISION = Context(prec=40)


def to_decimal(value: Fraction) -> Decimal:
    """The decimal of a rational, exact where it terminates within 40 digits."""
    return _PRECISION.divide(Decimal(value.numerator), Decimal(value.denominator))


def to_json_number(value: Decimal | float | None) -> int | float | None:
    """The nearest number that JSON carries; whole ones without a point."""
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)
