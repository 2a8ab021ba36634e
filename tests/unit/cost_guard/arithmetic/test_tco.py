"""The cost over time: the sums, what is committed, the crossings, when to begin and when to end."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.months.commitments import Running, commitments, running
from cost_guard.arithmetic.months.crossings import Crossing, crossings
from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import HorizonTerms, tco
from tests.support.fleets import reading


def node(usd: int = 1000, *, upfront: int = 0, months: int = 1, name: str = "a") -> NodeKind:
    """10⁹ tokens a month."""
    return NodeKind(name, Fraction(usd), Fraction(400), Fraction(10**9), Fraction(upfront), months)


def pair(volume: str | int = "1e9", usd: int = 1000, upfront: int = 0, months: int = 1) -> Reading:
    """Two nodes, none spare, at $5, and 100 USD of overhead."""
    return reading([node(usd, upfront=upfront, months=months)] * 2, 5, volume, spare=0, overhead=100)


def test_the_sources_24_months() -> None:
    """$635k against $345k: 515 + 120 managed; 180 up front, 45 and 120 self-hosted; they meet at month 9.19."""
    fleet = reading([node(0)] * 2, Fraction(635_000, 24), "1e6", overhead=6875)
    found = tco(fleet, HorizonTerms(24, Fraction(180_000)))
    assert found.self_hosted_usd == 345_000
    assert found.managed_usd == 635_000
    assert found.crossover_month == Fraction(180) / (Fraction(515 - 45) / 24)


def test_growth_needs_nodes_month_by_month() -> None:
    """10⁹ doubling, 10⁹ a node: 2 nodes while they carry it, then 4, 8; the edge itself is still carried."""
    months = tco(pair(), HorizonTerms(5, growth_per_month=Decimal(1))).months
    assert [month.volume for month in months] == [10**9 * 2**n for n in range(5)]
    assert [month.nodes for month in months] == [2, 2, 4, 8, 16]
    assert [month.self_hosted_usd for month in months] == [2100, 2100, 4100, 8100, 16_100]
    assert [month.managed_sum_usd for month in months] == [5000, 15_000, 35_000, 75_000, 155_000]


def test_api_prices_fall_by_the_year() -> None:
    """(1 − d)^((t − 1)/12): month 13 costs 0.7 of month 1, exactly."""
    months = tco(pair(), HorizonTerms(25, api_price_decline_per_year=Decimal("0.3"))).months
    assert [months[at].managed_usd for at in (0, 12, 24)] == [5000, 3500, 2450]
    assert float(months[6].managed_usd) == pytest.approx(5000 * 0.7**0.5, rel=1e-15)


def test_added_nodes_are_paid_by_the_month_whatever_their_terms() -> None:
    """$600 and $4,800 for 12 months is $1,000 a month: so much for the third node, in the months that need it."""
    months = tco(pair("1.5e9", usd=600, upfront=4800, months=12), HorizonTerms(3, growth_per_month=Decimal(1))).months
    assert [month.nodes for month in months] == [2, 3, 6]
    assert [month.self_hosted_usd for month in months] == [1300, 1300 + 1000, 1300 + 4 * 1000]
    assert [month.commitment_usd for month in months] == [9600, 0, 0]
    assert [month.cost_usd for month in months] == [2100, 3100, 6100]


def test_a_commitment_is_renewed_and_owed_in_full() -> None:
    """Two nodes for 12 months at $600 and $4,800 up front, over 18: begun in months 1 and 13, six months owed after."""
    found = tco(pair(usd=600, upfront=4800, months=12), HorizonTerms(18, residual_usd=Fraction(500)))
    assert [month.number for month in found.months if month.commitment_usd] == [1, 13]
    assert [month.owed_usd for month in found.months] == [2 * 600 * (11 - t % 12) for t in range(18)]
    assert found.owed_after == 2 * 600 * 6
    assert found.self_hosted_usd == 18 * 1300 + 2 * 9600 + 7200 - 500
    assert found.starts_usd[0] == found.ends_usd[-1] == found.self_hosted_usd
    assert found.ends_usd[0] == 9600 + 1300 + 11 * 1200 + 17 * 5000 - 500


def test_what_runs_goes_on_and_what_the_fleet_has_left_is_owed() -> None:
    """Three of 12 months, five to go: two go on, paid up front until month 6; one is only owed."""
    fleet = pair(usd=600, upfront=4800, months=12)
    runs = running(fleet.nodes, 3, 7)
    assert runs == (Running("a", 3, Fraction(600), 5),)
    found = tco(fleet, HorizonTerms(8, running=runs))
    assert [month.commitment_usd for month in found.months] == [0, 0, 0, 0, 0, 9600, 0, 0]
    assert [month.self_hosted_usd for month in found.months] == [1900] * 5 + [1300] * 3
    assert [month.owed_usd for month in found.months] == [
        3 * 600 * (5 - t) if t < 5 else 2 * 600 * (17 - t) % (12 * 1200) for t in range(1, 9)
    ]
    assert found.running_usd == 3 * 5 * 600
    assert found.managed_usd == 8 * 5000
    assert found.starts_usd[-1] == 8 * 5000 + 9000


def test_a_baseline_runs_as_far_as_its_nodes_are_committed() -> None:
    """On-demand nodes and ended commitments do not run; what a shrunken fleet had is as what owes most."""
    kinds = [node(600, months=12), node(900, months=36, name="b"), node(name="c")]
    assert running(kinds, 2, 3) == (Running("a", 1, Fraction(600), 9), Running("b", 1, Fraction(900), 33))
    assert running(kinds, 4, 12) == (Running("b", 2, Fraction(900), 24),)
    assert running(kinds, 3, 40) == running(kinds[2:], 3, 0) == ()
    assert running(kinds, 1, -2) == (Running("a", 1, Fraction(600), 12),)


terms = st.builds(
    HorizonTerms,
    months=st.integers(1, 14),
    upfront_usd=st.integers(0, 20_000).map(Fraction),
    residual_usd=st.integers(0, 3000).map(Fraction),
    api_price_decline_per_year=st.decimals("-0.3", "0.6", places=2),
    discount_rate_per_year=st.decimals("-0.1", "0.3", places=2),
    growth_per_month=st.decimals("-0.3", "0.3", places=2),
)
committed = st.builds(
    lambda usd, upfront, months, name: node(usd, upfront=upfront, months=months, name=name),
    st.integers(0, 3000),
    st.integers(0, 9000),
    st.integers(1, 9),
    st.sampled_from("ab"),
)


@given(
    kinds=st.lists(committed, min_size=1, max_size=3, unique_by=lambda kind: kind.name),
    volume=st.integers(10**8, 10**10),
    terms=terms,
    run=st.tuples(st.integers(0, 4), st.integers(0, 8)),
)
@settings(max_examples=60, deadline=None)
def test_everything_is_as_a_ledger_has_it(
    kinds: list[NodeKind], volume: int, terms: HorizonTerms, run: tuple[int, int]
) -> None:
    """Node by node and payment by payment, in floats: both sums, every start, every end, the switch."""
    fleet = reading(kinds, 5, volume, spare=0, overhead=100, each=7)
    terms = replace(terms, running=running(fleet.nodes, *run))
    found, count = tco(fleet, terms), len(kinds)
    g, d, i = (
        float(one) for one in (terms.growth_per_month, terms.api_price_decline_per_year, terms.discount_rate_per_year)
    )
    last = terms.months
    worth: list[float] = [(1 + i) ** (-t / 12) for t in range(last + 1)]
    managed = [volume * 5e-6 * (1 + g) ** (t - 1) * (1 - d) ** ((t - 1) / 12) for t in range(1, last + 1)]
    added = [fleet.added_at(Fraction(volume) * (1 + Fraction(terms.growth_per_month)) ** t) for t in range(last)]

    def self_hosted(until: int) -> float:
        """Paid in months 1 … until, and what is owed then."""
        usd = float(terms.upfront_usd) - float(terms.residual_usd) * worth[last]
        for t in range(1, until + 1):
            each = float(kinds[0].usd_per_month) + float(kinds[0].upfront_usd) / kinds[0].commitment_months + 7
            usd += worth[t] * (added[t - 1] * each + 7 * count + 100)
        left = {one.name: [one.months_left] * one.nodes for one in terms.running}
        for kind in kinds:
            free = left.get(kind.name, [])
            ends = free.pop() if free else 0
            for t in range(1, until + 1):
                if t > ends:
                    usd += float(kind.upfront_usd) * worth[t - 1]
                    ends = t + kind.commitment_months - 1
                usd += float(kind.usd_per_month) * worth[t]
            usd += float(kind.usd_per_month) * (max(ends, until) - until) * worth[until]
        for one in terms.running:
            for months in left[one.name]:
                usd += sum(float(one.usd_per_month) * worth[min(t, until)] for t in range(1, months + 1))
        return usd

    never = sum(
        float(one.usd_per_month) * one.nodes * worth[min(t, last)]
        for one in terms.running
        for t in range(1, one.months_left + 1)
    )
    bought = [m * f for m, f in zip(managed, worth[1:], strict=True)]
    cost = [float(fleet.cost_with(n)) for n in added]
    begun = [
        sum(bought[:m])
        + float(terms.upfront_usd) * worth[m]
        + sum(c * f for c, f in zip(cost[m:], worth[m + 1 :], strict=True))
        for m in range(last)
    ]
    starts = [one + self_hosted(last) - begun[0] for one in begun] + [sum(bought) + never]
    ends = [self_hosted(x) + sum(bought[x:]) for x in range(1, last + 1)]
    assert float(found.managed_usd) == pytest.approx(sum(bought), rel=1e-9)
    assert float(found.self_hosted_usd) == pytest.approx(self_hosted(last), rel=1e-9, abs=1e-6)
    assert [float(one) for one in found.starts_usd] == pytest.approx(starts, rel=1e-9, abs=1e-6)
    assert [float(one) for one in found.ends_usd] == pytest.approx(ends, rel=1e-9, abs=1e-6)
    assert found.best_start[1] == min(found.starts_usd) == found.starts_usd[found.best_start[0]]
    assert found.best_start[1] not in found.starts_usd[: found.best_start[0]]
    assert found.best_end[1] == min(found.ends_usd) == found.ends_usd[found.best_end[0] - 1]
    assert found.best_end[1] not in found.ends_usd[found.best_end[0] :]
    pays = [month.cost_usd <= month.managed_usd for month in found.months]
    assert found.switch_month == next((t for t in range(1, last + 1) if all(pays[t - 1 :])), None)


@given(
    months=st.lists(st.tuples(st.sampled_from([0, 0, 1, 3]), st.integers(-4, 4)), min_size=1, max_size=12),
    before=st.integers(0, 4),
    after=st.integers(-3, 3),
)
@settings(max_examples=200, deadline=None)
def test_crossings_are_where_a_fine_grid_sees_them(months: list[tuple[int, int]], before: int, after: int) -> None:
    """The lead at 12 points a month: with gains of at most 4 every meeting lies on one. The start is managed's."""
    fine = 12
    given_months = [(Fraction(falls), Fraction(gain)) for falls, gain in months]
    found = crossings(given_months, Fraction(before), Fraction(after))
    lead, points = Fraction(-before), []
    for number, (falls, gain) in enumerate(given_months):
        lead -= falls
        points += [(number + Fraction(at, fine), lead + gain * Fraction(at, fine)) for at in range(fine + 1)]
        lead += gain
    points.append((Fraction(len(months)), lead + after))
    ours, seen = False, []
    for number, (month, value) in enumerate(points):
        at_start = number == 0 and value == 0 and points[1][1] < 0
        if (value >= 0) != ours and not at_start:
            ours = not ours
            exact = month if ours or points[number - 1][0] == month else points[number - 1][0]
            seen.append(Crossing(exact, "self-hosted" if ours else "managed"))
    assert found == tuple(seen)


def test_the_start_is_managed_where_nothing_is_gained() -> None:
    """Never ahead: none. Level throughout, or ahead at once: from the first day."""
    assert crossings([(Fraction(0), Fraction(-1))] * 3, Fraction(0), Fraction(0)) == ()
    for gain in (0, 1):
        level = crossings([(Fraction(0), Fraction(gain))] * 3, Fraction(0), Fraction(0))
        assert level == (Crossing(Fraction(0), "self-hosted"),)


def test_a_renewal_and_the_end_may_turn_it() -> None:
    """Ahead by 2 and 2, 5 up front in month 3 puts it behind at 2; and 9 owed at the end puts it behind there."""
    months = [(Fraction(0), Fraction(2)), (Fraction(0), Fraction(2)), (Fraction(5), Fraction(4))]
    turned = crossings(months, Fraction(0), Fraction(-9))
    assert turned == (
        Crossing(Fraction(0), "self-hosted"),
        Crossing(Fraction(2), "managed"),
        Crossing(2 + Fraction(1, 4), "self-hosted"),
        Crossing(Fraction(3), "managed"),
    )
    sold = crossings([(Fraction(4), Fraction(1))], Fraction(0), Fraction(3))
    assert sold == (Crossing(Fraction(1), "self-hosted"),)


@given(volume=st.integers(10**8, 10**10), terms=terms, worse=st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_worse_terms_never_pay_where_better_did_not(volume: int, terms: HorizonTerms, worse: int) -> None:
    """Over the horizon: a dearer node, a slower model, a lower managed price."""
    assume(terms.discount_rate_per_year >= 0)
    fleet, by = pair(volume, usd=1500, upfront=900, months=6), 1 + Fraction(worse, 20)
    slower = replace(fleet.added, tokens_per_month=fleet.added.tokens_per_month / by)
    dearer = replace(fleet.added, usd_per_month=fleet.added.usd_per_month * by)
    better = tco(fleet, terms)
    for other in (
        replace(fleet, nodes=(slower, slower), added=slower),
        replace(fleet, nodes=(dearer, dearer), added=dearer),
        replace(fleet, usd_per_million=fleet.usd_per_million / by),
    ):
        found = tco(other, terms)
        assert found.managed_usd - found.self_hosted_usd <= better.managed_usd - better.self_hosted_usd


def test_commitments_of_unlike_nodes_are_told_apart() -> None:
    """Of each name as many go on as run, the others begin."""
    kinds = [node(600, months=12), node(600, months=12), node(900, months=36, name="b")]
    held = commitments(kinds, (Running("a", 1, Fraction(600), 5), Running("gone", 2, Fraction(10), 3)))
    assert [(one.nodes, one.months_left, one.renewed) for one in held] == [
        (1, 5, True), (1, 0, True), (1, 0, True), (2, 3, False),
    ]  # fmt: skip
    assert [sum(one.owed_usd(t) for one in held) for t in (0, 3, 5)] == [
        5 * 600 + 3 * 20,
        2 * 600 + 9 * 600 + 33 * 900,
        0 + 7 * 600 + 31 * 900,
    ]
