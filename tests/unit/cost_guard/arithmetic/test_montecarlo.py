"""The draws: the vectorised closed form against the exact one, the quantiles, the seed, the bands, the tornado."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
    __cpu_dispatch__,
    __cpu_features__,
)

from cost_guard.arithmetic import montecarlo
from cost_guard.arithmetic.breakeven import Staircase
from cost_guard.arithmetic.costing import Case
from cost_guard.arithmetic.horizon import project
from cost_guard.arithmetic.montecarlo import bands, simulate, stable_volumes, tornado
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.scenario import Scenario
from tests.support.gate import verdict_of

Build = Callable[..., Scenario]
CERTAIN = {"volume": 0, "throughput": 0, "apiPrice": 0, "overhead": 0}


@pytest.fixture
def case(quotation: Build, catalogue: Catalogue, today: date) -> Callable[..., Case]:
    """case(volume, rho=…, price=…, uncertainty={…}) as the gate reckons with it."""

    def build(*args: Any, **sections: Any) -> Case:
        found = verdict_of(quotation(*args, **sections), catalogue, today).case
        assert found is not None
        return found

    return build


@given(
    nodes=st.integers(1, 8),
    spare=st.integers(0, 9),
    node=st.integers(0, 20_000),
    drawn=st.lists(
        st.tuples(st.floats(1e8, 2e10), st.floats(1e-7, 2e-5), st.floats(0, 20_000)), min_size=1, max_size=20
    ),
)
@settings(max_examples=300, deadline=None)
def test_the_vectorised_form_is_the_staircases(
    nodes: int, spare: int, node: int, drawn: list[tuple[float, float, float]]
) -> None:
    """`stable` of each draw is that of the exact Staircase; where a float lies on an edge, either side's is right."""
    per, price, overhead = (np.array(column) for column in zip(*drawn, strict=True))
    template = Staircase(nodes, spare, Decimal(node), Fraction(0), Decimal(1), Fraction(1))
    found = stable_volumes(template, per, price, overhead)
    for volume, (of_node, of_token, of_overhead) in zip(found, drawn, strict=True):

        def exact(nudge: float, a: float = of_node, b: float = of_token, c: float = of_overhead) -> float:
            usd_per_million = Decimal(b * (1 + nudge)) * 10**6
            stairs = Staircase(nodes, spare, Decimal(node), Fraction(c), usd_per_million, Fraction(a))
            return float("inf") if stairs.stable is None else float(stairs.stable)

        assert any(volume == pytest.approx(exact(nudge), rel=1e-6) for nudge in (0, 1e-11, -1e-11))


def test_without_uncertainty_every_quantile_is_the_exact_crossing(case: Callable[..., Case]) -> None:
    """5.572B at ρ = 2; and V exactly there reaches it in every draw, a token less in none."""
    at = simulate(case("5572e6", rho=2, uncertainty=CERTAIN))
    assert (at.p10, at.p50, at.p90, at.probability) == (5.572e9, 5.572e9, 5.572e9, 1)
    assert simulate(case("5571999999", rho=2, uncertainty=CERTAIN)).probability == 0


def test_none_is_beyond_every_volume(case: Callable[..., Case]) -> None:
    """At $1.85 and ρ = 2 (marginal $1.809) about two fifths of the draws have no break-even: P90 is null."""
    found = simulate(case("30e9", rho=2, price="1.85"))
    assert found.p10 is not None
    assert found.p90 is None
    none = simulate(case("30e9", rho=2, price="0.80"))
    assert (none.p50, none.p90) == (None, None)
    assert none.probability < 0.01


def test_the_volume_alone_is_the_log_normals_share(case: Callable[..., Case]) -> None:
    """Only the volume uncertain, its median on the break-even: half. At P90 of it: nine tenths."""
    alone = {**CERTAIN, "volume": "0.25", "draws": 200_000}
    assert simulate(case("3988e6", uncertainty=alone)).probability == pytest.approx(0.5, abs=0.005)
    wide = str(Decimal("3988e6") * (Decimal("1.2815515655") * Decimal("0.25")).exp())
    assert simulate(case(wide, uncertainty=alone)).probability == pytest.approx(0.9, abs=0.004)


def test_the_price_alone_moves_the_quantiles_by_its_own(case: Callable[..., Case]) -> None:
    """simple = F/p: P10 and P90 of it are F over P90 and P10 of p, e^±1.2816·0.1."""
    found = simulate(case("9e9", rho=1, uncertainty={**CERTAIN, "apiPrice": "0.1", "draws": 200_000}))
    spread = float((Decimal("1.2815515655") * Decimal("0.1")).exp())
    assert found.p10 == pytest.approx(3.988e9 / spread, rel=0.002)
    assert found.p50 == pytest.approx(3.988e9, rel=0.001)
    assert found.p90 == pytest.approx(3.988e9 * spread, rel=0.002)


GOLDEN = (4505021181.834615, 5617144008.009185, 7488907346.048943, 0.5779)
"""Drawn once, by numpy 2.4.6 with AVX-512."""


def test_the_same_seed_gives_the_same_figures(case: Callable[..., Case]) -> None:
    """To the last digit; another seed gives others."""
    found = simulate(case("6e9", rho=2))
    assert (found.p10, found.p50, found.p90, found.probability) == GOLDEN
    assert simulate(case("6e9", rho=2, uncertainty={"seed": 8})).p50 != found.p50


def test_a_lesser_processor_gives_the_same_figures(plain: Callable[..., dict[str, Any]]) -> None:
    """numpy's exponential differs in its last bit between AVX-512 and what comes before; no figure does."""
    code = f"""
from datetime import date
from cost_guard.scenario.proposal import parse_scenario
from tests.support.gate import verdict_of
from cost_guard.catalogue.catalogue import load_catalogue
found = verdict_of(parse_scenario({plain("6e9", rho=2)!r}), load_catalogue(), date(2026, 5, 31)).break_even
print((found.p10, found.p50, found.p90, found.probability))
"""
    fast = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(fast)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stdout.strip() == str(GOLDEN)


def test_chunks_change_nothing(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by them; the draws are the same ones."""
    made = case("6e9", rho=2)
    whole, months = simulate(made), bands(made)
    monkeypatch.setattr(montecarlo, "CHUNK", 37)
    assert simulate(made) == whole
    assert bands(made) == months


def test_the_bands_close_on_the_projection_without_uncertainty(case: Callable[..., Case]) -> None:
    """All three lines are the sums of the horizon, month by month."""
    horizon = {"months": 18, "upfrontUsd": 5000, "apiPriceDeclinePerYear": "0.2"}
    made = case("4e9", rho=2, horizon=horizon, uncertainty=CERTAIN, workload={"growthPerMonth": "0.03"})
    for band, month in zip(bands(made), project(made).months, strict=True):
        assert band.month == month.number
        assert band.self_hosted_usd == pytest.approx([float(month.self_hosted_sum_usd)] * 3, rel=1e-12)
        assert band.managed_usd == pytest.approx([float(month.managed_sum_usd)] * 3, rel=1e-12)


def test_bands_are_in_order_and_rise(case: Callable[..., Case]) -> None:
    """P10 ≤ P50 ≤ P90, and no sum falls from month to month."""
    found = bands(case("6e9", rho=2))
    assert all(list(side) == sorted(side) for band in found for side in (band.self_hosted_usd, band.managed_usd))
    assert [band.managed_usd for band in found] == sorted(band.managed_usd for band in found)


def test_bands_take_no_more_draws_than_their_bound(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of them, so that more draws for the verdict leave the chart as it is."""
    monkeypatch.setattr(montecarlo, "BAND_DRAWS", 500)
    few, many = (bands(case("6e9", uncertainty={"draws": draws})) for draws in (500, 5000))
    assert few == many


def test_the_tornado_moves_one_at_a_time(case: Callable[..., Case]) -> None:
    """P10 and P90 are e^∓1.2816σ of the median: the volume moves the saving alone, the others the break-even too."""
    swings = {swing.name: swing for swing in tornado(case("6e9", rho=1))}
    assert list(swings) == ["volume", "apiPrice", "overhead", "throughput"]
    factor = {name: float((Decimal("1.2815515655446004") * swings[name].sigma).exp()) for name in swings}
    volume, price = swings["volume"], swings["apiPrice"]
    assert volume.low_stable == volume.high_stable == 3_988_000_000
    assert float(volume.low_saving_usd) == pytest.approx(30_000 / factor["volume"] - 19_940)
    assert float(volume.high_saving_usd) == pytest.approx(30_000 * factor["volume"] - 19_940)
    assert float(price.high_saving_usd) == pytest.approx(30_000 * factor["apiPrice"] - 19_940)
    assert float(price.low_stable or 0) == pytest.approx(3.988e9 * factor["apiPrice"])
    assert float(swings["overhead"].high_saving_usd) == pytest.approx(10_060 - 4100 * (factor["overhead"] - 1))
    assert swings["throughput"].low_saving_usd == swings["throughput"].high_saving_usd == 10_060


def test_a_preview_without_draws_imports_no_numpy() -> None:
    """The library, its parsing and the catalogue do not; only a verdict does."""
    code = """
import sys
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.verdict import judge
load_catalogue()
print("numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
