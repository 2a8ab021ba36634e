"""The staircase: its published figures, and its definitions checked by brute force."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.breakeven import Staircase, to_decimal
from cost_guard.arithmetic.capacity import tokens_per_node_month


def stairs(rho: str = "2", price: str = "5", node: str = "7920", nodes: int = 2, spare: int = 1) -> Staircase:
    """C = 4,759, u = 0.7, overhead $4,100: the illustrative node of the break-even notes."""
    per = tokens_per_node_month(Decimal(4759), Decimal("0.7"), Decimal(rho))
    return Staircase(nodes, spare, Decimal(node), Fraction(4100), Decimal(price), per)


def billions(value: Fraction | None) -> float | None:
    return None if value is None else round(float(value) / 1e9, 3)


LIVE = str(Decimal("22.32") * 730)


@pytest.mark.parametrize(
    ("made", "first", "stable"),
    [
        (stairs(), 3.988, 5.572),
        (stairs(rho="3"), 5.572, 7.156),
        (stairs(node=LIVE), 17.114, 26.890),
        (stairs(node=LIVE, rho="3"), None, None),
        (stairs(price="0.80"), None, None),
        (stairs(rho="1.3"), 3.988, 3.988),
    ],
    ids=["rho 2", "rho 3", "live price", "live price, rho 3", "0.80", "rho 1.3"],
)
def test_published_crossings_are_found(made: Staircase, first: float | None, stable: float | None) -> None:
    """The figures for C = 4,759, u = 0.7, k = 1 come out to the last digit given (ρ = 3: 27,860/5 first, on step 2)."""
    assert billions(made.stable) == stable
    assert billions(made.first) == first


def test_crossing_is_lost_when_the_third_node_is_needed() -> None:
    """At $5 and ρ = 2 it pays from 3.988B, not above 4.377B (third node), and for good from 5.572B."""
    band = stairs().losing_after(Fraction(3_988_000_000))
    assert band is not None
    assert band.lo == Fraction(4759) * Fraction(7, 10) * 730 * 3600 / 2
    assert (int(band.lo / 10**6), billions(band.hi)) == (4377, 5.572)


def test_marginal_cost_is_that_of_the_notes() -> None:
    """m = 7920/(4759·0.7/2·2.628) = $1.809 per million tokens."""
    assert round(float(stairs().marginal_usd_per_million), 3) == 1.809


def test_simple_is_fixed_over_price() -> None:
    """19,940/0.80 = 24.925B and 19,940/5 = 3.988B, exactly."""
    assert stairs(price="0.80").simple == 24_925_000_000
    assert stairs().simple == 3_988_000_000


def test_step_edges_are_exact() -> None:
    """At V = j·per the j-th node still carries all; one token more needs the next. Decimals would slip at ρ = 1.3."""
    made = stairs(rho="1.3", nodes=2)
    for step in range(1, 50):
        assert made.nodes_at(step * made.per) == max(2, step + 1)
        assert made.nodes_at(step * made.per + Fraction(1, 10**9)) == step + 2


def test_decimal_of_a_terminating_rational_is_exact() -> None:
    """No digit of a price or a volume is made up."""
    assert to_decimal(Fraction(162936, 10)) == Decimal("16293.6")


staircases = st.builds(
    lambda nodes, spare, node, overhead, price, per: Staircase(
        nodes, min(spare, nodes - 1), Decimal(node) / 100, Fraction(overhead), Decimal(price) / 100, Fraction(per)
    ),
    nodes=st.integers(1, 6),
    spare=st.integers(0, 4),
    node=st.integers(0, 2_000_000),
    overhead=st.integers(0, 20_000),
    price=st.integers(1, 2_000),
    per=st.integers(10**8, 2 * 10**10),
)


def probes(made: Staircase, steps: int) -> list[Fraction]:
    """Volumes that see every regime: each step's edges from both sides, its middle, and its own crossing."""
    found = {Fraction(1)}
    for step in range(1, steps + 1):
        left, right = (step - 1) * made.per, step * made.per
        crossing = made.cost(right) / (Fraction(made.usd_per_million) / 10**6)
        near = (left + 1, (left + right) / 2, right, crossing - 1, crossing)
        found |= {volume for volume in near if left < volume <= right}
    return sorted(found)


@given(staircases)
@settings(max_examples=300, deadline=None)
def test_order_holds(made: Staircase) -> None:
    """simple ≤ first ≤ stable where they exist, and stable never exists without first."""
    if made.stable is not None:
        assert made.first is not None
        assert made.first <= made.stable
    if made.first is not None:
        assert made.simple <= made.first


@given(staircases)
@settings(max_examples=300, deadline=None)
def test_stable_exists_exactly_below_the_managed_price(made: Staircase) -> None:
    """It exists if and only if usdPerNodeMonth/per < price/1e6."""
    exists = Fraction(made.usd_per_node) / made.per < Fraction(made.usd_per_million) / 10**6
    assert (made.stable is not None) is exists


@given(staircases)
@settings(max_examples=200, deadline=None)
def test_first_is_the_smallest_that_pays(made: Staircase) -> None:
    """Brute force over every step: nothing below `first` pays, `first` itself does."""
    grid = probes(made, 60)
    if made.first is None:
        assert not any(made.pays(volume) for volume in grid)
        return
    assert made.pays(made.first)
    assert not any(made.pays(volume) for volume in grid if volume < made.first)


@given(staircases)
@settings(max_examples=200, deadline=None)
def test_stable_is_the_smallest_from_which_all_pay(made: Staircase) -> None:
    """Brute force: from `stable` on everything pays, and just below it something does not."""
    if made.stable is None:
        return
    assert made.pays(made.stable)
    assert all(made.pays(volume) for volume in probes(made, 60) if volume >= made.stable)
    assert not made.pays(made.stable * (1 - Fraction(1, 10**12))) or made.stable == 0


@given(staircases, st.integers(1, 10**11))
@settings(max_examples=300, deadline=None)
def test_band_above_a_paying_volume_loses_throughout(made: Staircase, volume: int) -> None:
    """Between V and the band all pays, inside it all loses, at its end it pays again."""
    start = Fraction(volume)
    if not made.pays(start):
        assert made.next_paying(start) is None or made.pays(made.next_paying(start) or Fraction(0))
        return
    band = made.losing_after(start)
    if band is None:
        assert made.stable is not None
        assert start >= made.stable
        return
    hi = band.hi if band.hi is not None else band.lo + 50 * made.per
    assert all(made.pays(start + (band.lo - start) * i / 10) for i in range(11))
    assert not any(made.pays(band.lo + (hi - band.lo) * i / 10) for i in range(1, 10))
    assert band.hi is None or made.pays(band.hi)


@given(staircases)
@settings(max_examples=200, deadline=None)
def test_cost_never_falls_with_volume(made: Staircase) -> None:
    """A staircase goes up."""
    assert all(made.cost(a) <= made.cost(b) for a, b in pairwise(probes(made, 20)))


prices = st.integers(1, 2_000).map(lambda cents: Decimal(cents) / 100)


@given(staircases)
@settings(max_examples=200, deadline=None)
def test_managed_never_falls_with_volume(made: Staircase) -> None:
    """A price per token is a straight line upwards."""
    assert all(made.managed(a) < made.managed(b) for a, b in pairwise(probes(made, 20)))


@given(staircases, prices)
@settings(max_examples=300, deadline=None)
def test_crossings_never_rise_with_the_managed_price(made: Staircase, price: Decimal) -> None:
    """Dearer APIs can only bring each of the three nearer; "none" is beyond every volume."""
    dear = replace(made, usd_per_million=max(price, made.usd_per_million))
    cheap = replace(made, usd_per_million=min(price, made.usd_per_million))
    assert dear.simple <= cheap.simple
    for near, far in ((dear.first, cheap.first), (dear.stable, cheap.stable)):
        assert far is None or (near is not None and near <= far)


@given(staircases)
@settings(max_examples=300, deadline=None)
def test_at_the_stable_crossing_managed_reaches_cost_and_stays(made: Staircase) -> None:
    """Equality there (where it is no left edge of a step), and cost is never above managed from there on."""
    if made.stable is None:
        return
    assert made.managed(made.stable) >= made.cost(made.stable)
    on_an_edge = (made.stable / made.per).denominator == 1
    assert on_an_edge or made.managed(made.stable) == made.cost(made.stable)
    assert all(made.cost(volume) <= made.managed(volume) for volume in probes(made, 80) if volume >= made.stable)


@given(staircases)
@settings(max_examples=300, deadline=None)
def test_simple_first_and_stable_are_in_order(made: Staircase) -> None:
    """simple ≤ first ≤ stable, each as far as it exists."""
    found = [volume for volume in (made.simple, made.first, made.stable) if volume is not None]
    assert found == sorted(found)


@given(staircases, st.fractions(Fraction(1, 1000), 1000))
@settings(max_examples=300, deadline=None)
def test_scaling_the_currency_changes_nothing(made: Staircase, rate: Fraction) -> None:
    """All money × a rate of exchange: the volumes are the same, because the verdict compares and never counts."""
    rate = Fraction(round(rate * 1000), 1000)
    exact = to_decimal(rate)
    other = replace(
        made,
        usd_per_node=made.usd_per_node * exact,
        overhead=made.overhead * rate,
        usd_per_million=made.usd_per_million * exact,
    )
    assert (other.simple, other.first, other.stable) == (made.simple, made.first, made.stable)
    assert [other.pays(volume) for volume in probes(made, 20)] == [made.pays(volume) for volume in probes(made, 20)]
