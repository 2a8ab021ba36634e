"""One uncertainty at a time, over the horizon."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import exp

import pytest

from cost_guard.arithmetic.tco import HorizonTerms
from cost_guard.arithmetic.uncertainty.sigmas import Sigmas
from cost_guard.arithmetic.uncertainty.tornado import tornado
from tests.support.fleets import kind, reading

Z = 1.2815515655446004
ROW = kind(7920, 4759, price="row", factor="fit")
FLEET = reading([ROW] * 2, 5, "6e9")
GIVEN = Sigmas(1, 7, Decimal("0.25"), Decimal("0.1"), Decimal("0.25"), {"fit": Decimal("0.3")}, {"row": Decimal("0.2")})


def test_each_moves_alone() -> None:
    """P10 and P90 are e^∓1.2816σ of the median, over 24 months of 30,000 − 15,840 − 4,100."""
    swings = {swing.name: swing for swing in tornado(FLEET, HorizonTerms(24), GIVEN, Decimal(0))}
    assert list(swings) == ["volume", "nodePrice", "throughput", "apiPrice", "overhead", "growthPerMonth"]
    volume, node, price = swings["volume"], swings["nodePrice"], swings["apiPrice"]
    assert volume.low_stable == volume.high_stable == 3_988_000_000
    assert float(volume.low_saving_usd) == pytest.approx(24 * (30_000 * exp(-Z * 0.25) - 19_940))
    third = 7920  # above 6.734B
    assert float(volume.high_saving_usd) == pytest.approx(24 * (30_000 * exp(Z * 0.25) - 19_940 - third))
    assert float(node.high_saving_usd) == pytest.approx(24 * (25_900 - 15_840 * exp(Z * 0.2)))
    assert float(node.high_stable or 0) == pytest.approx((3 * 7920 * exp(Z * 0.2) + 4100) / 5e-6)
    assert float(price.high_saving_usd) == pytest.approx(24 * (30_000 * exp(Z * 0.1) - 19_940))
    assert float(price.low_factor) == pytest.approx(exp(-Z * 0.1))
    assert float(swings["overhead"].low_saving_usd) == pytest.approx(24 * (14_160 - 4100 * exp(-Z * 0.25)))
    assert swings["growthPerMonth"].low_saving_usd == swings["growthPerMonth"].high_saving_usd == 24 * 10_060


def test_a_slower_model_needs_more_nodes() -> None:
    """C·e^(−1.2816·0.3) serves 4.585B a node of 6B: a third node, 7,920 a month more."""
    (throughput,) = [one for one in tornado(FLEET, HorizonTerms(24), GIVEN, Decimal(0)) if one.name == "throughput"]
    assert throughput.sigma == Decimal("0.3")
    assert throughput.low_saving_usd == 24 * (10_060 - 7920)
    assert throughput.high_saving_usd == 24 * 10_060


def test_growth_is_as_uncertain_as_the_year() -> None:
    """After 12 months the volume is e^(±1.2816·0.15) of what is projected, month by month by the twelfth of it."""
    sure = replace(GIVEN, throughput={"fit": Decimal(0)})
    horizon = HorizonTerms(13, growth_per_month=Decimal("0.02"))
    (growth,) = [one for one in tornado(FLEET, horizon, sure, Decimal("0.15")) if one.name == "growthPerMonth"]
    for saving, sign in ((growth.low_saving_usd, -1), (growth.high_saving_usd, 1)):
        monthly = 1.02 * exp(sign * Z * 0.15 / 12)
        volumes = [6e9 * monthly**t for t in range(13)]
        nodes = [max(2, -(-volume // float(ROW.tokens_per_month)) + 1) for volume in volumes]
        expected = sum(5e-6 * volume - 7920 * count - 4100 for volume, count in zip(volumes, nodes, strict=True))
        assert float(saving) == pytest.approx(expected)
    assert float(growth.high_factor) ** 12 == pytest.approx(exp(Z * 0.15))
    assert growth.low_stable == growth.high_stable == Fraction(3_988_000_000)
