"""What of a refresh is taken and what is refused, on plain figures."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.crossover.prices.diff import FACTOR, RowChange, RowQuote, compare


def quote(value: str, gpus: int = 8, key: str = "a/b", name: str = "usdPerHour", trouble: str = "") -> RowQuote:
    return RowQuote(key, {name: Decimal(value)}, {"source": "s"}, gpus, trouble)


def judged(old: str, new: RowQuote | None, accepted: Iterable[str] = (), name: str = "usdPerHour") -> RowChange:
    """The one change of a row a/b."""
    [change] = compare({"a/b": {name: Decimal(old)}}, [] if new is None else [new], frozenset(accepted))
    return change


@pytest.mark.parametrize(("new", "state"), [("10", "same"), ("10.00", "same"), ("5", "changed"), ("20", "changed")])
def test_a_price_may_double_or_halve(new: str, state: str) -> None:
    assert judged("10", quote(new)).state == state


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("20.01", "moves by the factor 2.00"),
        ("4.99", "moves by the factor 0.50"),
        ("1.25", "moves by the factor 0.12: it looks like the price of one GPU and not of a node with 8"),
        ("84", "moves by the factor 8.40: it looks like the price of a node with 8 GPUs"),
    ],
)
def test_a_price_that_jumps_is_refused_unless_it_is_accepted(new: str, said: str) -> None:
    """With the factor, and the other unit that would explain it."""
    change = judged("10", quote(new))
    assert change.state == "refused"
    assert said in change.refused
    assert judged("10", quote(new), ["a/b"]).state == "changed"


@pytest.mark.parametrize(("new", "said"), [("0.0025", "by a thousand"), ("2.5e-6", "by a million")])
def test_a_models_price_in_another_unit_is_noticed(new: str, said: str) -> None:
    """Per thousand tokens, or per token, instead of per million."""
    told = quote(new, gpus=0, name="inputUsdPerMillion")
    assert said in judged("2.5", told, name="inputUsdPerMillion").refused


@pytest.mark.parametrize("new", ["0", "-1", "NaN", "Infinity"])
def test_what_is_no_price_is_never_taken(new: str) -> None:
    """Accepted or not: the catalogue would refuse the row."""
    assert judged("10", quote(new), ["a/b"]).refused.endswith("which is no price")


def test_another_currency_is_never_taken() -> None:
    told = quote("10", trouble="AWS tells its price in CNY and not in USD")
    assert judged("10", told, ["a/b"]).refused == "AWS tells its price in CNY and not in USD"


def test_what_vanished_stays_until_it_is_accepted() -> None:
    assert judged("10", None).refused.startswith("no longer offered")
    assert judged("10", None, ["a/b"]).state == "removed"


def test_a_part_of_a_price_that_vanished_is_refused() -> None:
    """A cache discount that is not told any more would otherwise fall away in silence."""
    old = {"inputUsdPerMillion": Decimal(2), "cachedInputUsdPerMillion": Decimal(1)}
    [change] = compare({"m": old}, [quote("2", 0, "m", "inputUsdPerMillion")], ())
    assert change.refused == "cachedInputUsdPerMillion is no longer told; it was 1"


def test_a_new_row_enters_by_its_name_alone() -> None:
    """What is on sale and in no row is no change."""
    assert compare({}, [quote("10"), quote("11", key="a/c")], ()) == []
    [change] = compare({}, [quote("10"), quote("11", key="a/c")], ("a/c",))
    assert (change.key, change.state) == ("a/c", "new")


PRICES = st.integers(1, 10**7).map(lambda n: Decimal(n) / 1000)


@given(PRICES, PRICES)
def test_nothing_enters_that_moves_beyond_the_factor(old: Decimal, new: Decimal) -> None:
    """Whatever the figures: taken without acceptance exactly if within the factor."""
    change = judged(str(old), quote(str(new)))
    assert (not change.refused) == (old / FACTOR <= new <= old * FACTOR)
