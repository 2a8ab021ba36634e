"""The examples that two unlike programs computed before this one was written: each figure as it was noted."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from cost_guard.arithmetic.managed import PricedRoute, displaced, model_usd_per_million, route_usd_per_million
from cost_guard.arithmetic.options import best_part, options
from cost_guard.arithmetic.tco import HorizonTerms, tco
from tests.support.fleets import billions, kind, reading


def exactly(*numbers: str) -> tuple[Fraction, ...]:
    return tuple(map(Fraction, numbers))


def near(usd: Fraction, noted: float) -> bool:
    """To half of the last digit noted, which is the third behind the point."""
    return abs(usd - Fraction(str(noted))) <= Fraction(1, 2000)


def test_equal() -> None:
    node = kind(7920, 4759, rho=2)
    fleet = reading([node] * 2, 5, "6e9", rho=2)
    assert (node.tokens_per_month, fleet.cost(fleet.volume)) == exactly("4377328200", "27860")
    assert fleet.nodes_needed == 3
    assert (fleet.simple, fleet.first, fleet.stable) == exactly("3988e6", "3988e6", "5572e6")
    assert fleet.survives_one_loss
    assert round(float(fleet.peak_tokens_per_second), 2) == 4566.21
    over = tco(fleet, HorizonTerms(24, Fraction(20_000)))
    assert (over.self_hosted_usd, over.managed_usd) == exactly("688640", "720000")
    assert [(round(float(one.month), 6), one.cheaper) for one in over.crossings] == [(9.345794, "self-hosted")]


def test_mixed() -> None:
    runpod, vast = (kind(Fraction(usd) * 730, 7708, name=usd) for usd in ("14.32", "13.6344"))
    h100 = kind(Fraction("31.92") * 730, 15_416)
    assert [one.usd_per_month for one in (runpod, vast, h100)] == [
        Fraction(usd) for usd in ("10453.60", "9953.112", "23301.60")
    ]
    fleets = [reading([runpod, vast, h100], 3, "24e9", added=one) for one in (runpod, vast, h100)]
    assert {billions(fleet.capacity(0)) for fleet in fleets} == {21.814826}
    costs = [fleet.cost(fleet.volume) for fleet in fleets]
    assert costs == [Fraction(usd) for usd in ("58261.912", "57761.424", "71109.912")]
    assert [billions(fleet.stable) for fleet in fleets] == [15.936104, 15.936104, 23.703304]
    assert [(fleet.nodes_needed, fleet.survives_one_loss) for fleet in fleets] == [(4, True)] * 3
    assert round(float(fleets[0].peak_tokens_per_second), 3) == 11_872.146
    assert fleets[0].tokens_per_second_after_loss == 15_416
    pair = [reading([runpod, vast], 5, "12e9", added=one) for one in (runpod, vast)]
    assert {billions(fleet.simple) for fleet in pair} == {4.901342}
    assert [fleet.nodes_needed for fleet in pair] == [3, 3]
    assert [fleet.cost(fleet.volume) for fleet in pair] == [Fraction("34960.312"), Fraction("34459.824")]


def test_spot() -> None:
    node = kind(5500, 4759, loss=Fraction(1, 10))
    fleet = reading([node] * 3, 2, "20e9")
    assert billions(node.tokens_per_month) == 6.734351
    assert (fleet.spare(0), fleet.spare(2), fleet.spare(7), fleet.spare(8)) == (2, 2, 2, 3)
    assert fleet.added_at(fleet.volume) == 2
    assert fleet.cost(fleet.volume) == 31_600
    assert [billions(one) for one in (fleet.simple, fleet.first, fleet.stable)] == [10.3, 13.05, 15.8]
    assert billions(fleet.capacity(7)) == billions(fleet.capacity(8)) == 53.874809


def test_reserved() -> None:
    node = kind(Fraction("11.7178") * 730, 7708, commitment_months=36)
    fleet = reading([node] * 2, 5, "9e9")
    assert near(fleet.fixed, 21_207.988)
    over = tco(fleet, HorizonTerms(24, growth_per_month=Decimal("-0.1"), discount_rate_per_year=Decimal("0.08")))
    assert near(over.owed_after, 205_295.856)
    assert near(over.self_hosted_usd, 646_250.946)
    assert near(over.managed_usd, 393_883.337)
    assert [(round(float(one.month), 6), one.cheaper) for one in over.crossings] == [
        (0, "self-hosted"),
        (18.049373, "managed"),
    ]
    assert (over.best_start[0], over.best_end[0]) == (24, 24)
    assert min(over.ends_usd) > over.managed_usd


@pytest.mark.parametrize(
    ("horizon", "sums", "crossing", "start"),
    [
        ({}, (819_120, 1_841_678.413), 10.340026, (5, 786_843.8125)),
        (
            {"upfront_usd": Fraction(60_000), "discount_rate_per_year": Decimal("0.08")},
            (802_362.932, 1_639_767.057),
            13.219224,
            (6, 768_485.013),
        ),
    ],
    ids=["plain", "up front and discounted"],
)
def test_ramp(
    horizon: dict[str, Fraction | Decimal], sums: tuple[float, float], crossing: float, start: tuple[int, float]
) -> None:
    fleet = reading([kind(7920, 4759)] * 2, 5, "2e9")
    over = tco(fleet, HorizonTerms(24, growth_per_month=Decimal("0.15"), **horizon))  # type: ignore[arg-type]
    assert near(over.self_hosted_usd, sums[0])
    assert near(over.managed_usd, sums[1])
    # Digits may have been cut, not rounded: 13.21922455… is noted as 13.219224.
    assert float(over.crossover_month or -1) == pytest.approx(crossing, abs=1e-6)
    assert over.switch_month == 6
    assert over.best_start[0] == start[0]
    assert near(over.best_start[1], start[1])


def test_routes() -> None:
    gpt = model_usd_per_million(Fraction("2.5"), Fraction("1.25"), Fraction(10), Fraction(3, 4), Fraction(1, 2))
    routes = [
        PricedRoute(Fraction(3, 10), route_usd_per_million(gpt, Fraction(1, 10), Fraction(0), Fraction(0))),
        PricedRoute(
            Fraction(1, 2), route_usd_per_million(Fraction("0.72"), Fraction(0), Fraction(2, 5), Fraction(1, 2))
        ),
    ]
    assert [route.usd_per_million for route in routes] == [Fraction("3.515625"), Fraction("0.576")]
    all_routes = displaced(Fraction(50 * 10**9), routes)
    assert (all_routes.volume, all_routes.usd_per_million) == exactly("40e9", "1.678359375")
    node = kind("10453.60", 7708)
    fleet = reading([node] * 2, all_routes.usd_per_million, all_routes.volume)
    assert fleet.managed(fleet.volume) == Fraction("67134.375") == all_routes.saved(fleet.volume)
    assert fleet.cost(fleet.volume) == 56_368
    assert fleet.nodes_needed == 5
    assert [billions(one) for one in (fleet.first, fleet.stable)] == [21.128252, 33.585179]
    part = best_part(fleet, all_routes)
    assert billions(part.volume) == 21.814826
    assert near(part.usd_per_month, 45_935.460)
    horizon = HorizonTerms(24)
    figures = options(fleet, horizon, tco(fleet, horizon), all_routes, Fraction("0.6"))
    assert [one.id for one in figures] == [
        "managed", "same-weights", "self-hosted", "self-hosted-from", "self-hosted-until", "self-hosted-part",
    ]  # fmt: skip
    assert figures[5].usd_per_month == part.usd_per_month
