"""P and D from shapes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_guard.catalogue.fit import fitted
from cost_guard.catalogue.throughput import ShapeRate

RATES = st.floats(10, 1e6)
SHAPES = st.lists(st.tuples(st.integers(1, 30_000), st.integers(1, 30_000)), min_size=2, max_size=8)


def shapes(asked: list[tuple[int, int]], prefill: float, decode: float) -> list[ShapeRate]:
    """What a machine of exactly this P and D finds: (i + o)/(i/P + o/D)."""
    return [ShapeRate(i, o, Decimal((i + o) / (i / prefill + o / decode))) for i, o in asked]


@given(SHAPES, RATES, RATES)
def test_what_is_exact_is_found_again(asked: list[tuple[int, int]], prefill: float, decode: float) -> None:
    """Wherever two shapes differ enough in their share of input to tell P from D."""
    shares = [i / (i + o) for i, o in asked]
    told = shapes(asked, prefill, decode)
    weights = [share / prefill / (share / prefill + (1 - share) / decode) for share in shares]
    if max(weights) - min(weights) < 0.05:
        return
    found = fitted(told)
    assert found.prefill_tokens_per_second == pytest.approx(prefill, rel=1e-5)
    assert found.decode_tokens_per_second == pytest.approx(decode, rel=1e-5)
    assert found.sigma == pytest.approx(0, abs=1e-6)
    assert found.rate(1) == pytest.approx(prefill, rel=1e-5)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([], "a fit needs shapes of two shares of input at least"),
        ([(100, 100), (5000, 5000)], "a fit needs shapes of two shares of input at least"),
        ([(10_000, 1), (1, 10_000)], None),
    ],
)
def test_shapes_that_tell_too_little_are_refused(asked: list[tuple[int, int]], words: str | None) -> None:
    told = shapes(asked, 5000, 500)
    if words is None:
        assert round(fitted(told).decode_tokens_per_second) == 500
    else:
        with pytest.raises(ValueError, match=words):
            fitted(told)


def test_a_rate_that_falls_where_it_should_rise_has_no_best_fit() -> None:
    """All of it is decoding: P may be anything, as long as it is large."""
    with pytest.raises(ValueError, match="no P and D are best for these shapes"):
        fitted([ShapeRate(100, 900, Decimal(1)), ShapeRate(900, 100, Decimal(10_000))])
