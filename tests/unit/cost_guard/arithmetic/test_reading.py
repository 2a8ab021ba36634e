"""One reading: its capacity and cost by definition, its break-evens against a walk along the nodes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.node import NodeKind, blended_tokens_per_second, tokens_per_month
from cost_guard.arithmetic.reading import Reading
from tests.support.fleets import billions, kind, reading

WALK = 90
"""Nodes that the walks add at most."""


def simple_kind(usd: int, served: int, loss: Fraction) -> NodeKind:
    return NodeKind("", Fraction(usd), Fraction(served), Fraction(served), loss=loss)


losses = st.sampled_from([Fraction(0), Fraction(0), Fraction(1, 10), Fraction(3, 20), Fraction(1, 3), Fraction(9, 10)])
kinds = st.builds(simple_kind, st.integers(0, 40), st.integers(1, 12), losses)


@st.composite
def fleets(draw: st.DrawFn) -> Reading:
    """One to six nodes of up to three kinds, of so few tokens that every edge is met."""
    of = draw(st.lists(kinds, min_size=1, max_size=3))
    nodes = draw(st.lists(st.sampled_from(of), min_size=1, max_size=6))
    return reading(
        nodes,
        draw(st.integers(1, 90)) * 100_000,
        draw(st.integers(1, 120)),
        added=draw(st.sampled_from(nodes)),
        spare=draw(st.integers(0, len(nodes) - 1)),
        overhead=draw(st.integers(0, 50)),
        each=draw(st.integers(0, 3)),
    )


def carried(fleet: Reading, added: int) -> Fraction:
    """Cap(n), by its definition."""
    sizes = sorted([int(n.tokens_per_month) for n in fleet.nodes] + [int(fleet.added.tokens_per_month)] * added)
    gone = fleet.spare_nodes + ceil(sum(n.loss for n in fleet.nodes) + added * fleet.added.loss)
    return Fraction(sum(sizes[: max(0, len(sizes) - gone)]))


def cost(fleet: Reading, added: int) -> Fraction:
    """With n added, by its definition."""
    node = fleet.usd_per_node_month
    given_nodes = sum(one.usd_per_month + one.upfront_usd / one.commitment_months + node for one in fleet.nodes)
    return given_nodes + added * (fleet.added.cost_usd_per_month + node) + fleet.overhead_usd_per_month


def steps(fleet: Reading) -> list[tuple[Fraction, Fraction, Fraction, int]]:
    """(more than, up to, pays from, n) of each step, as a walk along the nodes finds them."""
    found, most = [], Fraction(0)
    for added in range(WALK):
        now = carried(fleet, added)
        if added == 0 or now > most:
            found.append((most, max(now, most), cost(fleet, added) * 10**6 / fleet.usd_per_million, added))
            most = max(now, most)
    return found


@given(fleet=fleets())
@settings(max_examples=60, deadline=None)
def test_nodes_and_cost_are_those_of_the_definition(fleet: Reading) -> None:
    """Cap(n), k(n), and n(V) as the least n that carries V."""
    for added in range(12):
        assert fleet.capacity(added) == carried(fleet, added)
        assert fleet.cost_with(added) == cost(fleet, added)
    assume(any(carried(fleet, n) >= fleet.volume for n in range(WALK)))
    assert fleet.added_at(fleet.volume) == next(n for n in range(WALK) if carried(fleet, n) >= fleet.volume)


@given(fleet=fleets())
@settings(max_examples=60, deadline=None)
def test_break_evens_are_those_of_a_walk(fleet: Reading) -> None:
    """`first` is on the first step that pays, `stable` on the last that loses."""
    walked = steps(fleet)
    paying = [pays for _, upto, pays, _ in walked if pays <= upto]
    assert fleet.first == (paying[0] if paying else None) or (not paying and (fleet.first or 0) > walked[-1][1])
    if fleet.marginal_usd_per_million >= fleet.usd_per_million:
        assert fleet.stable is None
        return
    losing = [(pays, n) for over, _, pays, n in walked if pays > over]
    assume(not losing or losing[-1][1] < WALK - 30)
    assert fleet.stable == (losing[-1][0] if losing else 0)


@given(fleet=fleets())
@settings(max_examples=60, deadline=None)
def test_bands_that_lose_are_those_of_a_walk(fleet: Reading) -> None:
    """After a paying volume the next band, and after a losing one where it pays again."""
    walked, volume = steps(fleet), fleet.volume
    assume(walked[-1][1] > 2 * volume)
    paying = [max(pays, over) for over, upto, pays, _ in walked if pays <= upto and upto > volume]
    if fleet.pays(volume):
        after = [(over, pays, upto) for over, upto, pays, _ in walked if over >= volume and pays > over]
        band = fleet.losing_after(volume)
        if not after:
            assert band is None or band.lo >= walked[-1][1]
            return
        assert band is not None
        assert band.lo == after[0][0]
        again = [pays for over, upto, pays, _ in walked if over >= band.lo and pays <= upto]
        assert band.hi == (again[0] if again else None) or (not again and (band.hi or 0) > walked[-1][1])
    else:
        found = fleet.next_paying(volume)
        assert found == (paying[0] if paying else None) or (not paying and (found or 0) > walked[-1][1])


@given(
    nodes=st.integers(1, 9),
    spare=st.integers(0, 8),
    usd=st.integers(1, 30_000),
    served=st.integers(1, 10**10),
    volume=st.integers(1, 10**12),
    price=st.fractions(Fraction(1, 100), 100, max_denominator=1000),
)
@settings(max_examples=60, deadline=None)
def test_equal_nodes_are_the_staircase_of_the_first_edition(
    nodes: int, spare: int, usd: int, served: int, volume: int, price: Fraction
) -> None:
    """max(N, ceil(V/s) + k) nodes; and its closed form of `stable`: the last step that loses on its left edge."""
    assume(spare < nodes)
    node = simple_kind(usd, served, Fraction(0))
    fleet = reading([node] * nodes, price, volume, spare=spare)
    assert fleet.nodes_needed == max(nodes, ceil(Fraction(volume, served) + spare))
    earned = price / 10**6 * served
    margin, rest = earned - usd, spare * usd + 4100
    if margin <= 0:
        assert fleet.stable is None
        return
    last = ceil((rest + earned) / margin) - 1
    on_last = max(nodes, last + spare) if last > nodes - spare else nodes
    assert fleet.stable == (on_last * usd + 4100) / (price / 10**6)


@given(fleet=fleets(), factor=st.integers(1, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_currency_changes_nothing(fleet: Reading, factor: int) -> None:
    """All money times a factor: the same break-evens."""

    def scaled(node: NodeKind) -> NodeKind:
        return replace(node, usd_per_month=node.usd_per_month * factor)

    other = replace(
        fleet,
        nodes=tuple(map(scaled, fleet.nodes)),
        added=scaled(fleet.added),
        overhead_usd_per_month=fleet.overhead_usd_per_month * factor,
        usd_per_node_month=fleet.usd_per_node_month * factor,
        usd_per_million=fleet.usd_per_million * factor,
    )
    assert (other.first, other.stable, other.pays(other.volume)) == (
        fleet.first,
        fleet.stable,
        fleet.pays(fleet.volume),
    )


@given(fleet=fleets(), more=st.integers(1, 40), dearer=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_worse_terms_are_never_better(fleet: Reading, more: int, dearer: int) -> None:
    """A larger volume costs no less; a dearer node, a slower model and a lower managed price neither pay where the
    better did not, nor sooner for good."""
    assert fleet.cost(fleet.volume + more) >= fleet.cost(fleet.volume)
    assert fleet.managed(fleet.volume + more) >= fleet.managed(fleet.volume)

    def all_nodes(change: dict[str, Fraction]) -> Reading:
        by = {
            kind: replace(kind, **{name: getattr(kind, name) * f for name, f in change.items()}) for kind in fleet.nodes
        }
        return replace(fleet, nodes=tuple(by[node] for node in fleet.nodes), added=by[fleet.added])

    worse = [
        all_nodes({"usd_per_month": 1 + Fraction(dearer, 10)}),
        all_nodes({name: 1 / (1 + Fraction(dearer, 10)) for name in ("tokens_per_month", "tokens_per_second")}),
        replace(fleet, usd_per_million=fleet.usd_per_million / (1 + Fraction(dearer, 10))),
    ]
    for one in worse:
        assert not one.pays(one.volume) or fleet.pays(fleet.volume)
        assert one.stable is None or (fleet.stable is not None and fleet.stable <= one.stable)
        assert one.first is None or (fleet.first is not None and fleet.first <= one.first)


@given(fleet=fleets(), more=st.integers(0, 10**15))
@settings(max_examples=60, deadline=None)
def test_from_stable_on_it_pays_however_large(fleet: Reading, more: int) -> None:
    """managed(V) ≥ cost(V) at `stable` and at everything above; a token less may not."""
    assume(fleet.stable is not None)
    assert fleet.stable is not None
    assert fleet.pays(fleet.stable + more)
    assert fleet.losing_after(fleet.stable + more) is None


def test_spares_that_grow_are_not_walked() -> None:
    """One of a million is away: 10¹⁵ tokens at 10 a node need 10¹⁴ nodes, 10⁸ for those away, and three spares."""
    loss = Fraction(1, 10**6)
    fleet = reading([simple_kind(1, 10, loss)] * 3, 10**6, 10**15, spare=2)
    n = fleet.added_at(fleet.volume)
    kept = 3 + n - fleet.spare(n)
    assert kept == 10**14
    assert 3 + (n - 1) - fleet.spare(n - 1) < 10**14
    assert n == ceil((10**14 + 2 - 3 + 3 * loss) / (1 - loss))


def test_one_node_never_survives_a_loss() -> None:
    """And two do as long as the other carries the peak."""
    one = reading([kind(1000, 100)], 5, "1e6")
    assert not one.survives_one_loss
    two = [kind(1000, 100), kind(1000, 300)]
    edge = 100 * 730 * 3600 / Fraction("1.3")
    assert reading(two, 5, edge).survives_one_loss
    assert not reading(two, 5, edge + 1).survives_one_loss
    assert reading(two, 5, edge).tokens_per_second_per_node == 200
    assert reading(two, 5, 400 * 730 * 3600).utilisation == 1


def test_a_node_serves_by_its_shape() -> None:
    """1/(0.75·0.5/8000 + 0.25/2000) tokens/s; what divides by 0 is refused."""
    shape = [Fraction(one) for one in ("8000", "2000", "0.75", "0.5")]
    assert blended_tokens_per_second(*shape) == 1 / (Fraction(3, 8) / 8000 + Fraction(1, 4) / 2000)
    with pytest.raises(ValueError, match="all of that is found in the prefix cache"):
        blended_tokens_per_second(Fraction(8000), Fraction(2000), Fraction(1), Fraction(1))
    with pytest.raises(ValueError, match="more than 0"):
        blended_tokens_per_second(Fraction(0), Fraction(2000), Fraction(1), Fraction(0))
    assert tokens_per_month(Fraction(4759), Fraction("0.7"), Fraction(2)) == 4_377_328_200


def test_the_margin_of_spot_counts_what_is_away() -> None:
    """(1000 + 0)/(s·0.8) a million tokens: at just that price there is no stable break-even, above it there is."""
    node = simple_kind(1000, 10**9, Fraction(1, 5))
    edge = Fraction(1000, 800)
    assert reading([node] * 2, edge, 10**9).marginal_usd_per_million == edge
    assert reading([node] * 2, edge, 10**9).stable is None
    assert billions(reading([node] * 2, edge + Fraction(1, 10**6), 10**9).stable) is not None
