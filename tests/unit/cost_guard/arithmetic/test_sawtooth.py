"""The sawtooth: its maximum and where it reaches a level, against a walk along the steps."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.stairs.sawtooth import Sawtooth

parts = st.fractions(-20, 20, max_denominator=12)
rates = st.fractions(Fraction(1, 30), 1, max_denominator=30)


def values(
    gain: Fraction, loss: Fraction, offset: Fraction, rate: Fraction, base: Fraction, stop: int
) -> list[Fraction]:
    """base + gain·j − loss·ceil((j + offset)/rate) for each j < stop."""
    return [base + gain * j - loss * ceil((j + offset) / rate) for j in range(stop)]


@given(
    gain=parts,
    loss=parts,
    offset=parts,
    rate=rates,
    base=parts,
    level=parts,
    start=st.integers(0, 9),
    more=st.integers(1, 60),
)
@settings(max_examples=60, deadline=None)
def test_a_range_is_as_a_walk_finds_it(
    gain: Fraction,
    loss: Fraction,
    offset: Fraction,
    rate: Fraction,
    base: Fraction,
    level: Fraction,
    start: int,
    more: int,
) -> None:
    """The most, the first at least, the last below and the first below a level."""
    stop = start + more
    found = values(gain, loss, offset, rate, base, stop)
    made = Sawtooth.of(gain, loss, offset, rate, base)
    assert made.most(start, stop) == max(found[start:])
    above = [j for j in range(start, stop) if found[j] >= level]
    below = [j for j in range(start, stop) if found[j] < level]
    assert made.first_at_least(level, start, stop) == (above[0] if above else None)
    assert made.first_below(level, start, stop) == (below[0] if below else None)
    assert made.last_below(level, start, stop) == (below[-1] if below else None)


@given(gain=parts, loss=parts, offset=parts, rate=rates, level=parts, start=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_without_end_it_finds_what_a_long_walk_does(
    gain: Fraction, loss: Fraction, offset: Fraction, rate: Fraction, level: Fraction, start: int
) -> None:
    """Where the trend goes the wrong way it says that there is none."""
    walked = 300
    found = values(gain, loss, offset, rate, Fraction(0), walked)
    made = Sawtooth.of(gain, loss, offset, rate)
    above = [j for j in range(start, walked) if found[j] >= level]
    below = [j for j in range(start, walked) if found[j] < level]
    at, under = made.first_at_least(level, start, None), made.first_below(level, start, None)
    assert at == (above[0] if above else None) or (at is not None and at >= walked and not above)
    assert under == (below[0] if below else None) or (under is not None and under >= walked and not below)
    if gain > loss / rate:
        last = made.last_below(level, start, None)
        assert last == (below[-1] if below else None) or (last is not None and last >= walked)


def test_a_trillion_steps_are_not_walked() -> None:
    """10 j − 9 ceil(j/0.9) rises by 1 a cycle of 9·10 steps less what rounding takes: level 10¹² is far."""
    made = Sawtooth.of(Fraction(1_000_000_001), Fraction(900_000_000), Fraction(0), Fraction(9, 10))
    at = made.first_at_least(Fraction(10**12), 0, None)
    assert at is not None
    assert at > 10**11

    def value(j: int) -> int:
        return 1_000_000_001 * j - 900_000_000 * ceil(Fraction(j) / Fraction(9, 10))

    assert value(at) >= 10**12 > value(at - 1)


def test_what_does_not_rise_has_no_last_below() -> None:
    """A caller that asks for it is wrong."""
    with pytest.raises(ValueError, match="do not fall"):
        Sawtooth.of(Fraction(1), Fraction(2), Fraction(0), Fraction(1)).last_below(Fraction(0), 0, None)
