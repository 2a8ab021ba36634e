"""The six options agree with the horizon, and the best part is the best of all parts."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.managed import DisplacedVolume, PricedRoute, displaced, model_usd_per_million
from cost_guard.arithmetic.months.commitments import running
from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.options import BestPart, OptionFigures, best_part, options
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import HorizonTerms, tco
from tests.support.fleets import reading


def small(usd: int, served: int, loss: Fraction = Fraction(0), commitment_months: int = 1) -> NodeKind:
    return NodeKind(
        "a", Fraction(usd), Fraction(served), Fraction(served), loss=loss, commitment_months=commitment_months
    )


def both(one: OptionFigures) -> tuple[int, int]:
    """A month and the horizon, in whole USD."""
    assert one.usd_per_month is not None
    assert one.horizon_usd is not None
    return int(one.usd_per_month), int(one.horizon_usd)


def whole(fleet: Reading) -> DisplacedVolume:
    return displaced(fleet.volume, [PricedRoute(Fraction(1), fleet.usd_per_million)])


terms = st.builds(
    HorizonTerms,
    months=st.integers(1, 14),
    upfront_usd=st.integers(0, 20_000).map(Fraction),
    api_price_decline_per_year=st.decimals("-0.3", "0.6", places=2),
    discount_rate_per_year=st.decimals("0", "0.3", places=2),
    growth_per_month=st.decimals("-0.3", "0.3", places=2),
)


@given(volume=st.integers(1, 9000), terms=terms, same=st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_options_agree_with_the_horizon(volume: int, terms: HorizonTerms, same: int) -> None:
    """Each figure is one of tco's; a start is no dearer than either never or at once; growth scales what is managed."""
    fleet = reading([small(1000, 1000)] * 2, "2e6", volume, spare=0, overhead=100)
    over = tco(fleet, terms)
    managed, weights, ours, begin, end, part = options(fleet, terms, over, whole(fleet), Fraction(same * 10**5))
    assert (managed.usd_per_month, managed.horizon_usd) == (fleet.managed(fleet.volume), over.managed_usd)
    assert weights.usd_per_month == Fraction(volume * same, 10)
    assert weights.horizon_usd == over.managed_usd * same / 20
    assert (ours.usd_per_month, ours.horizon_usd) == (fleet.cost(fleet.volume), over.self_hosted_usd)
    assert begin.horizon_usd == over.best_start[1] <= min(over.managed_usd, over.self_hosted_usd)
    assert begin.usd_per_month == (ours if over.best_start[0] == 0 else managed).usd_per_month
    assert end.horizon_usd == over.best_end[1] <= over.self_hosted_usd
    best = best_part(fleet, whole(fleet))
    if best.volume == 0:
        assert (part.usd_per_month, part.horizon_usd) == (managed.usd_per_month, managed.horizon_usd)
    if best.volume == volume:
        assert (part.usd_per_month, part.horizon_usd) == (ours.usd_per_month, ours.horizon_usd)


def test_without_such_a_row_the_same_weights_have_no_figures() -> None:
    fleet = reading([small(1000, 1000)] * 2, "2e6", 500)
    found = options(fleet, HorizonTerms(3), tco(fleet, HorizonTerms(3)), whole(fleet), None)[1]
    assert (found.usd_per_month, found.horizon_usd) == (None, None)


def test_what_is_committed_is_owed_by_who_leaves_it() -> None:
    """Two nodes at $1,000 with five months to go, over three: 2,000 a month more, and 4,000 that is owed after."""
    kind = small(1000, 1000, commitment_months=12)
    fleet = reading([kind] * 2, "2e6", 500, spare=0, overhead=100)
    terms = HorizonTerms(3, running=running(fleet.nodes, 2, 7))
    managed, weights, ours, begin, end, part = options(fleet, terms, tco(fleet, terms), whole(fleet), Fraction(10**6))
    assert both(managed) == (1000 + 2000, 3 * 1000 + 5 * 2000)
    assert both(weights) == (500 + 2000, 3 * 500 + 5 * 2000)
    assert both(ours) == (2100, 3 * 2100 + 2 * 2000)
    assert begin.horizon_usd == min(
        ours.horizon_usd or 0, managed.horizon_usd or 0, 1000 + 2 * 2100 + 4000, 2 * 1000 + 2100 + 4000
    )
    assert end.horizon_usd == min(3 * 2100 + 4000, 2 * 2100 + 1000 + 6000, 2100 + 2 * 1000 + 8000)
    assert (part.usd_per_month, part.horizon_usd) == (managed.usd_per_month, managed.horizon_usd)


@given(
    kinds=st.lists(
        st.builds(
            small,
            st.integers(0, 40),
            st.integers(1, 12),
            st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(2, 5)]),
        ),
        min_size=1,
        max_size=3,
    ),
    shares=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 90)), min_size=1, max_size=3),
    overhead=st.integers(0, 40),
)
@settings(max_examples=80, deadline=None)
def test_the_best_part_is_that_of_trying_all(
    kinds: list[NodeKind], shares: list[tuple[int, int]], overhead: int
) -> None:
    """0, V and every Cap(n) < V, one by one; what is left is what is not saved."""
    tokens = sum(volume for volume, _ in shares)
    routes = displaced(
        Fraction(tokens), [PricedRoute(Fraction(volume, tokens), Fraction(usd * 10**5 + 1)) for volume, usd in shares]
    )
    fleet = reading(kinds, routes.usd_per_million, tokens, spare=len(kinds) - 1, overhead=overhead)
    dearest = sorted((usd for volume, usd in shares for _ in range(volume)), reverse=True)

    def saved(volume: int) -> Fraction:
        return sum((Fraction(usd * 10**5 + 1, 10**6) for usd in dearest[:volume]), Fraction(0))

    caps = {int(fleet.capacity(n)) for n in range(fleet.added_at(fleet.volume) + 1)}
    tried = {
        volume: saved(volume) - (fleet.cost(Fraction(volume)) if volume else 0)
        for volume in {0, tokens, *caps}
        if volume <= tokens
    }
    best = min(tried, key=lambda volume: (-tried[volume], volume))
    found = best_part(fleet, routes)
    left = saved(tokens) - saved(best)
    assert found == BestPart(Fraction(best), left + (fleet.cost(Fraction(best)) if best else 0), left)


def test_a_part_of_a_volume_that_needs_a_billion_nodes_is_found() -> None:
    """Nothing walks: the first route earns $3 a token and the second $1, a node of 10 tokens costs $20."""
    routes = displaced(
        Fraction(10**11),
        [PricedRoute(Fraction(1, 5), Fraction(3 * 10**6)), PricedRoute(Fraction(4, 5), Fraction(10**6))],
    )
    fleet = reading([small(20, 10)] * 2, routes.usd_per_million, 10**11)
    assert best_part(fleet, routes).volume == 2 * 10**10


def test_prices_of_models_and_routes() -> None:
    """A model without a price for cached input has no discount for it; nothing displaced is refused."""
    given_prices = [Fraction(one) for one in ("3", "15", "0.8", "0.5")]
    price, output, share, cached = given_prices
    assert model_usd_per_million(price, None, output, share, cached) == Fraction("0.8") * 3 + Fraction("0.2") * 15
    assert model_usd_per_million(price, Fraction("0.3"), output, share, cached) == Fraction("0.4") * Fraction("3.3") + 3
    with pytest.raises(ValueError, match="displaced: true"):
        displaced(Fraction(10), [])
