"""Numbers for people, rounded to the side on which the sentence stays true."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cost_guard import wording
from cost_guard.wording import DOWN, UP


@pytest.mark.parametrize(
    ("volume", "text"),
    [("6e9", "6B"), ("500e6", "500M"), ("3988000000", "3.988B"), ("1.5e12", "1.5T"), ("999.6e6", "999.6M"),
     ("999999999", "1B"), ("12", "12"), ("2500", "2.5k")],
)  # fmt: skip
def test_volumes(volume: str, text: str) -> None:
    """Four digits and a letter."""
    assert wording.tokens(Decimal(volume)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("19940", "$19,940"), ("16293.6", "$16,293.60"), ("0.8", "$0.80"), ("5", "$5"), ("-3.5", "-$3.50"),
     ("0.0042", "$0.0042"), ("0", "$0")],
)  # fmt: skip
def test_money(amount: str, text: str) -> None:
    """Cents where there are any."""
    assert wording.usd(Decimal(amount)) == text


def test_bounds_round_to_the_safe_side() -> None:
    """≥ rounds up, ≤ rounds down."""
    assert wording.tokens(Decimal("3988100000"), UP) == "3.989B"
    assert wording.tokens(Decimal("3988900000"), DOWN) == "3.988B"
    assert wording.usd(Decimal("9.9701"), UP) == "$9.98"
    assert wording.usd(Decimal("7919.999"), DOWN) == "$7,919.99"


@pytest.mark.parametrize(
    ("price", "nearest", "up"),
    [
        ("0.155", "$0.155", "$0.155"),
        ("0.5", "$0.50", "$0.50"),
        ("0.1234", "$0.123", "$0.124"),
        ("5.967", "$5.97", "$5.97"),
    ],
)
def test_a_price_below_a_dollar_has_three_digits(price: str, nearest: str, up: str) -> None:
    """6B tokens at $0.155 are $930: "$0.16" would be $960."""
    assert wording.per_million(Decimal(price)) == f"{nearest}/M tokens"
    assert wording.per_million(Decimal(price), UP) == f"{up}/M tokens"


def test_the_rest() -> None:
    """Shares, counts, rates."""
    assert (wording.percent(Decimal("0.125")), wording.percent(Decimal(1))) == ("12.5 %", "100 %")
    assert (wording.count(1, "node"), wording.count(2, "node")) == ("1 node", "2 nodes")
    assert wording.rate(Decimal("4759")) == "4,759 tokens/s"
