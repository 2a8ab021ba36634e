"""The cost over time: the source's 24 months, and each thing that changes in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.breakeven import Staircase
from cost_guard.arithmetic.costing import Case
from cost_guard.arithmetic.horizon import project
from cost_guard.arithmetic.mix import NOTHING_OWED, Sunk, Terms
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.scenario.scenario import Scenario
from tests.support.gate import verdict_of

Build = Callable[..., Scenario]


def case(
    scenario: Scenario, *, node: int = 1000, price: str = "5", terms: Terms | None = None, sunk: Sunk = NOTHING_OWED
) -> Case:
    """Two nodes, none spare, of 10⁹ tokens a month each at `node` USD, 100 USD of overhead."""
    stairs = Staircase(2, 0, Decimal(node), Fraction(100), Decimal(price), Fraction(10**9))
    volume = Fraction(scenario.workload.displaced_tokens_per_month)
    return Case(scenario, stairs, Decimal(1), volume, terms or Terms(Fraction(node)), sunk)


def test_the_sources_24_months(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """$635k against $345k: 515 + 120 managed; 180 up front, 45 and 120 self-hosted; they meet at month 9.19."""
    scenario = quotation(
        "1e6",
        price=str(Decimal(635_000) / 24),
        fleet={"usdPerNodeMonth": 0},
        overhead={"engineerUsdPerMonth": 5000, "monitoringUsdPerMonth": 0, "storageNetworkUsdPerMonth": 1875},
        horizon={"months": 24, "upfrontUsd": 180_000},
    )
    tco = verdict_of(scenario, catalogue, today).tco
    assert tco.months == 24
    assert tco.self_hosted_usd == 345_000
    assert float(tco.managed_usd or 0) == pytest.approx(635_000, rel=1e-12)
    assert float(tco.crossover_month or 0) == pytest.approx(180 / ((515 - 45) / 24), rel=1e-12)


def test_amortised_hardware_is_cheaper_from_the_first_day(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """Nothing is paid up front and each month saves: the sums meet at the beginning."""
    assert verdict_of(quotation("6e9"), catalogue, today).tco.crossover_month == 0


def test_what_never_pays_has_no_crossover(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """Also where it would only be reached after the horizon."""
    assert verdict_of(quotation("1e9"), catalogue, today).tco.crossover_month is None
    late = {"upfrontUsd": 180_000, "months": 9}
    assert verdict_of(quotation("6e9", horizon=late), catalogue, today).tco.crossover_month is None
    later = {"upfrontUsd": 180_000, "months": 24}
    found = verdict_of(quotation("6e9", horizon=later), catalogue, today).tco.crossover_month
    assert float(found or 0) == pytest.approx(180_000 / 10_060)


def test_growth_needs_nodes_month_by_month(quotation: Build) -> None:
    """10⁹ doubling, 10⁹ a node: 2 nodes while they carry it, then 4, 8; the edge itself is still carried."""
    months = project(case(quotation("1e9", workload={"growthPerMonth": 1}, horizon={"months": 5}))).months
    assert [month.volume for month in months] == [10**9 * 2**n for n in range(5)]
    assert [month.nodes for month in months] == [2, 2, 4, 8, 16]
    assert [month.self_hosted_usd for month in months] == [2100, 2100, 4100, 8100, 16100]
    assert [month.managed_sum_usd for month in months] == [5000, 15000, 35000, 75000, 155_000]


def test_growth_brings_the_crossover(quotation: Build) -> None:
    """$2,100 against $1,000, $2,000, $4,000: behind by 1,100 and 1,200, level after 1,200/1,900 of month 3."""
    scenario = quotation("2e8", workload={"growthPerMonth": 1}, horizon={"months": 3})
    assert project(case(scenario)).crossover_month == 2 + Fraction(1200, 1900)


def test_api_prices_fall_by_the_year(quotation: Build) -> None:
    """(1 − d)^((t − 1)/12): month 13 costs 0.7 of month 1, exactly."""
    months = project(case(quotation("1e9", horizon={"months": 25, "apiPriceDeclinePerYear": "0.3"}))).months
    assert [months[at].managed_usd for at in (0, 12, 24)] == [5000, 3500, 2450]
    assert float(months[6].managed_usd) == pytest.approx(5000 * 0.7**0.5, rel=1e-15)


def test_sums_are_discounted_and_the_crossover_is_not(quotation: Build) -> None:
    """(1 + r)^(−t/12) each month, what is paid up front in full; the crossover stays where it was."""
    given = {"months": 24, "upfrontUsd": 10_000}
    plain, worth = (
        project(case(quotation("1e9", horizon={**given, "discountRatePerYear": rate}))) for rate in (0, "0.1")
    )
    factor = sum(1.1 ** (-t / 12) for t in range(1, 25))
    assert float(worth.managed_usd) == pytest.approx(5000 * factor, rel=1e-14)
    assert float(worth.self_hosted_usd) == pytest.approx(10_000 + 2100 * factor, rel=1e-14)
    assert plain.managed_usd == 24 * 5000
    assert worth.crossover_month == plain.crossover_month == Fraction(10_000, 2900)


def test_a_commitment_is_paid_up_front_and_renewed(quotation: Build) -> None:
    """Two nodes reserved for 12 months at $600 and $4,800 up front, over 24: twice the up-front sum of both."""
    terms = Terms(Fraction(600), Fraction(4800), 12)
    found = project(case(quotation("1e9"), terms=terms))
    assert [month.number for month in found.months if month.upfront_usd] == [1, 13]
    assert found.self_hosted_usd == 24 * (2 * 600 + 100) + 2 * 2 * 4800
    assert terms.effective_usd_per_month == 1000


def test_a_commitment_outlives_the_need(quotation: Build) -> None:
    """Volume halves from four nodes: four are paid until the commitment ends, then two."""
    scenario = quotation("4e9", workload={"growthPerMonth": "-0.5"}, horizon={"months": 8})
    months = project(case(scenario, terms=Terms(Fraction(1000), Fraction(0), 6))).months
    assert [month.nodes for month in months] == [4, 2, 2, 2, 2, 2, 2, 2]
    assert [month.paid_nodes for month in months] == [4, 4, 4, 4, 4, 4, 2, 2]


def test_what_is_sunk_is_paid_though_scaled_in(quotation: Build) -> None:
    """Three nodes owed for two more months, two in use: 3, 3, then 2; nothing up front for what runs already."""
    terms = Terms(Fraction(1000), Fraction(500), 12)
    months = project(case(quotation("1e9", horizon={"months": 4}), terms=terms, sunk=Sunk(3, 2))).months
    assert [month.paid_nodes for month in months] == [3, 3, 2, 2]
    assert [month.upfront_usd for month in months] == [0, 0, 1000, 0]


@given(
    volume=st.integers(10**8, 10**10),
    growth=st.integers(-300, 300),
    decline=st.integers(-300, 600),
    rate=st.integers(0, 300),
    upfront=st.integers(0, 10**5),
    months=st.integers(1, 60),
)
@settings(max_examples=100, deadline=None)
def test_the_sums_are_those_of_the_formula(
    volume: int, growth: int, decline: int, rate: int, upfront: int, months: int
) -> None:
    """Brute force in floats; and the crossover lies in the first month that ends with the sums level or better."""
    horizon: dict[str, Any] = {
        "months": months,
        "upfrontUsd": upfront,
        "apiPriceDeclinePerYear": Decimal(decline) / 1000,
        "discountRatePerYear": Decimal(rate) / 1000,
    }
    workload = {"tokensPerMonth": volume, "growthPerMonth": Decimal(growth) / 1000}
    fleet = {"nodes": 2, "usdPerNodeMonth": 1000, "tokensPerSecond": 1}
    scenario = {"workload": workload, "managed": {"usdPerMillionTokens": 5}, "fleet": fleet, "horizon": horizon}
    found = project(case(parse_scenario(scenario)))
    ours, theirs = float(upfront), 0.0
    for t in range(1, months + 1):
        now = (1 + rate / 1000) ** (-t / 12)
        grown = volume * (1 + growth / 1000) ** (t - 1)
        ours += now * (max(2, -(-grown // 10**9)) * 1000 + 100)
        theirs += now * grown * 5e-6 * (1 - decline / 1000) ** ((t - 1) / 12)
    assert float(found.managed_usd) == pytest.approx(theirs, rel=1e-9)
    assert float(found.self_hosted_usd) == pytest.approx(ours, rel=1e-9)
    ahead = [month.number for month in found.months if month.managed_sum_usd >= month.self_hosted_sum_usd]
    assert (found.crossover_month is None) is (not ahead)
    assert found.crossover_month is None or ahead[0] - 1 <= found.crossover_month <= ahead[0]
