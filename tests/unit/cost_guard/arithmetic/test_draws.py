"""The draws: the staircase in floats against the exact one, the quantiles, the shares, the seed, the bands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import exp, inf

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
    __cpu_dispatch__,
    __cpu_features__,
)

from cost_guard.arithmetic import draws
from cost_guard.arithmetic.draws import bands, needed_volumes, simulate
from cost_guard.arithmetic.months.commitments import running
from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import HorizonTerms, tco
from cost_guard.arithmetic.uncertainty.drawn import Drawn, DrawnReading, FloatTerms
from cost_guard.arithmetic.uncertainty.sigmas import Sigmas, volume_sigma
from tests.support.fleets import kind, reading

PLAIN = HorizonTerms(24)


def sigmas(
    volume: str = "0",
    price: str = "0",
    overhead: str = "0",
    throughput: Mapping[str, str] | None = None,
    node: Mapping[str, str] | None = None,
    *,
    draws: int = 10_000,
    seed: int = 7,
) -> Sigmas:
    served = {"": "0", "x": "0", "y": "0"} | dict(throughput or {})
    return Sigmas(
        draws,
        seed,
        Decimal(volume),
        Decimal(price),
        Decimal(overhead),
        {name: Decimal(one) for name, one in served.items()},
        {name: Decimal(one) for name, one in (node or {}).items()},
    )


USUAL = sigmas("0.25", "0.10", "0.25", {"": "0.15"})
ALONE = HorizonTerms(1)


def equal(volume: str | Fraction, price: int | str = 5, rho: int | str = 2) -> Reading:
    return reading([kind(7920, 4759, rho=rho)] * 2, price, volume, rho=rho)


def drawn_kind(usd: int, served: int, loss: Fraction, factor: str) -> NodeKind:
    return NodeKind("", Fraction(usd), Fraction(served), Fraction(served), loss=loss, factor=factor, price=factor)


kinds = st.builds(
    drawn_kind,
    st.integers(0, 4000),
    st.integers(1, 1200),
    st.sampled_from([Fraction(0), Fraction(0), Fraction(1, 10), Fraction(137, 1000), Fraction(9, 10)]),
    st.sampled_from("xy"),
)
factors = st.lists(st.floats(0.3, 3), min_size=6, max_size=6)


@given(
    of=st.lists(kinds, min_size=1, max_size=3),
    picks=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    rest=st.tuples(st.integers(0, 5), st.integers(1, 90), st.integers(0, 5000), st.integers(0, 300)),
    volume=st.integers(1, 30_000),
    rows=st.lists(factors, min_size=1, max_size=4),
)
@example(  # one of the two may be taken away, the one that is added may not: a tenth of a spare is a whole one
    of=[drawn_kind(1, 1, Fraction(0), "x"), drawn_kind(0, 1, Fraction(1, 10), "x")],
    picks=[0, 1],
    rest=(0, 1, 0, 0),
    volume=1,
    rows=[[2.0, 1.0, 1.0, 1.0, 1.0, 1.0]],
)
@example(  # a margin of 0.8 %: the last step that loses is ten below the one that the line alone would allow
    of=[drawn_kind(573, 624, Fraction(1, 10), "x")],
    picks=[0],
    rest=(0, 17, 0, 169),
    volume=1,
    rows=[[0.8, 0.8516496063142776, 1.0085416062058774, 1.9665892662942368, 1.0, 2.470916725861762]],
)
@settings(max_examples=60, deadline=None)
def test_each_draw_is_the_exact_reading_of_its_factors(
    of: list[NodeKind], picks: list[int], rest: tuple[int, int, int, int], volume: int, rows: list[list[float]]
) -> None:
    """n(V), `stable` and both sums over the horizon; where a float lies on an edge, either side's is right."""
    nodes = [of[pick % len(of)] for pick in picks]
    spare, price, overhead, each = rest
    fleet = reading(nodes, price * 10**5, volume, spare=spare % len(nodes), overhead=overhead, each=each)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    drawn = Drawn(
        columns[0], columns[1], columns[2], *({"x": columns[3], "y": columns[4]}, {"x": columns[5], "y": columns[3]})
    )
    made, terms = DrawnReading.of(fleet, drawn), HorizonTerms(5, Fraction(500), growth_per_month=Decimal("0.1"))
    nodes_found, stable = made.stairs.added_at(made.volumes), made.stable()
    ours, theirs = made.over(FloatTerms.of(fleet, terms))
    for at, row in enumerate(rows):
        near = [exact(fleet, row, nudge) for nudge in (0, 1e-10, -1e-10)]
        assert any(nodes_found[at] == one.added_at(one.volume) for one in near)
        assert any(
            stable[at] == pytest.approx(inf if one.stable is None else float(one.stable), rel=1e-6) for one in near
        )
        sums = [tco(one, terms) for one in near]
        assert theirs[at] == pytest.approx(float(sums[0].managed_usd), rel=1e-9)
        assert any(ours[at] == pytest.approx(float(one.self_hosted_usd), rel=1e-9) for one in sums)


def exact(fleet: Reading, row: list[float], nudge: float) -> Reading:
    """The reading with these factors; a volume and a price that are a little larger."""
    volume, price, overhead, x, y, of_x = map(Fraction, row)
    served, priced = {"x": x, "y": y}, {"x": of_x, "y": x}

    def moved(node: NodeKind) -> NodeKind:
        of_month = node.tokens_per_month * served[node.factor]
        return replace(node, tokens_per_month=of_month, usd_per_month=node.usd_per_month * priced[node.price])

    return replace(
        fleet,
        nodes=tuple(map(moved, fleet.nodes)),
        added=moved(fleet.added),
        overhead_usd_per_month=fleet.overhead_usd_per_month * overhead,
        usd_per_node_month=fleet.usd_per_node_month * overhead,
        usd_per_million=fleet.usd_per_million * price * Fraction(1 + nudge),
        volume=fleet.volume * volume * Fraction(1 + nudge),
    )


def test_without_uncertainty_every_quantile_is_the_exact_crossing() -> None:
    """5.572B at ρ = 2; V exactly there reaches it in every draw, a token less in none, though it pays there."""
    (at,) = simulate([equal("5572e6")], PLAIN, sigmas())
    assert (at.p10, at.p50, at.p90, at.probability, at.probability_pays) == (5.572e9, 5.572e9, 5.572e9, 1, 1)
    (below,) = simulate([equal("4e9")], PLAIN, sigmas())
    assert (below.probability, below.probability_pays, below.probability_horizon) == (0, 1, 1)


def test_none_is_beyond_every_volume() -> None:
    """At $1.85 and ρ = 2 (marginal $1.809) about two fifths of the draws have no break-even: P90 is null."""
    (found,) = simulate([equal("30e9", "1.85")], PLAIN, USUAL)
    assert found.p10 is not None
    assert found.p90 is None
    (none,) = simulate([equal("30e9", "0.80")], PLAIN, USUAL)
    assert (none.p50, none.p90) == (None, None)
    assert none.probability < 0.01


def test_the_volume_alone_is_the_log_normals_share() -> None:
    """Only the volume uncertain, its median on the break-even: half. At P90 of it: nine tenths."""
    alone = sigmas("0.25", draws=200_000)
    (half,) = simulate([equal("3988e6", rho="1.3")], PLAIN, alone)
    assert (half.probability, half.probability_pays) == pytest.approx((0.5, 0.5), abs=0.005)
    assert half.probability_horizon == pytest.approx(0.5, abs=0.007)
    wide = Fraction("3988e6") * Fraction(exp(1.2815515655 * 0.25))
    (most,) = simulate([equal(wide, rho="1.3")], PLAIN, alone)
    assert most.probability == pytest.approx(0.9, abs=0.004)


def test_a_price_of_nodes_moves_all_of_its_row_together() -> None:
    """15,840·f + 4,100 ≤ 5 V: with f alone uncertain V = 3.988B·… holds in half of the draws, for pay and up front."""
    row = kind(5000, 4759, upfront_usd=Fraction(2920), price="row", commitment_months=1)
    fleet = reading([row] * 2, 5, "3988e6")
    (found,) = simulate([fleet], PLAIN, sigmas(node={"row": "0.3"}, draws=100_000))
    assert found.probability_pays == pytest.approx(0.5, abs=0.006)
    assert found.probability_horizon == found.probability_pays
    assert found.p90 == pytest.approx(
        (3 * 7920 * exp(1.2815515655 * 0.3) + 4100) / 5e-6, rel=0.005
    )  # 5.5B, and a third node above 6.7B


def test_nodes_of_one_machine_and_model_are_slow_together() -> None:
    """Two kinds with one factor: capacity f·(C₁ + C₂)/… reaches V in half of the draws; with two factors it is another
    share."""
    one, two = kind(100, 1000, factor="x"), kind(100, 1000, factor="y")
    median = reading([one], 5, 1).added.tokens_per_month
    spread = sigmas(throughput={"x": "0.4", "y": "0.4"}, draws=50_000)

    def served(*nodes: NodeKind) -> float:
        """The share of draws in which the nodes serve 0.9 of their medians' sum without a further one."""
        fleet = reading(nodes, 5, median * len(nodes) * Fraction(9, 10), spare=0, overhead=0)
        fleet = replace(fleet, usd_per_million=fleet.fixed * 10**6 / fleet.volume)
        return simulate([fleet], ALONE, spread)[0].probability_pays

    together = served(one, replace(one, price="other"))
    assert together == pytest.approx(0.6039, abs=0.008)  # Φ(−ln 0.9/0.4)
    assert served(one, two) > together + 0.05


@pytest.mark.parametrize(
    "terms", [PLAIN, HorizonTerms(24, Fraction(20_000), growth_per_month=Decimal("0.05"))], ids=["flat", "growing"]
)
@pytest.mark.parametrize("loss", [Fraction(0), Fraction(1, 10)], ids=["on demand", "spot"])
def test_worse_terms_are_never_likelier(terms: HorizonTerms, loss: Fraction) -> None:
    """A dearer node, a slower model, a lower managed price: no share of draws grows, no quantile falls."""

    def likely(usd: int, served: int, price: str) -> tuple[float, ...]:
        fleet = reading([kind(usd, served, loss=loss)] * 3, price, "9e9")
        p10, p50, p90, *shares = figures(fleet, terms, USUAL)
        return *(-(one or inf) for one in (p10, p50, p90)), *(one or 0.0 for one in shares)

    better = likely(7920, 4759, "5")
    for worse in (likely(8800, 4759, "5"), likely(7920, 4400, "5"), likely(7920, 4759, "4.5")):
        assert all(one <= other for one, other in zip(worse, better, strict=True))


def test_a_measured_month_does_not_tell_next_year() -> None:
    """sqrt(0.0065² + 0.15²)."""
    assert float(volume_sigma(Decimal("0.0065"), Decimal("0.15"))) == pytest.approx(0.15014076)


GOLDEN = (4569371372.513285, 5619491489.2413225, 7544165640.61544, 0.57, 0.6565, 0.6565)
"""Drawn once, by numpy 2.4.6 with AVX-512."""


def figures(reading: Reading, terms: HorizonTerms, given: Sigmas) -> tuple[float | None, ...]:
    (one,) = simulate([reading], terms, given)
    return one.p10, one.p50, one.p90, one.probability, one.probability_pays, one.probability_horizon


def test_the_same_seed_gives_the_same_figures() -> None:
    """To the last digit; another seed gives others; and other readings beside it change nothing."""
    fleet = equal("6e9")
    assert figures(fleet, PLAIN, USUAL) == GOLDEN
    assert figures(fleet, PLAIN, replace(USUAL, seed=8)) != GOLDEN
    many = simulate([fleet, equal("9e9"), fleet], PLAIN, USUAL)
    assert many[0] == many[2] == simulate([fleet], PLAIN, USUAL)[0]


def test_a_lesser_processor_gives_the_same_figures() -> None:
    """numpy's exponential differs in its last bit between AVX-512 and what comes before; no figure does."""
    code = """
from tests.unit.cost_guard.arithmetic import test_draws as tests
print(tests.figures(tests.equal("6e9"), tests.PLAIN, tests.USUAL))
"""
    fast = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(fast)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stdout.strip() == str(GOLDEN)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by them; the draws are the same ones, and no more of them are followed over the horizon."""
    fleet, few = equal("6e9"), replace(USUAL, draws=2000)
    monkeypatch.setattr(draws, "HORIZON_DRAWS", 500)
    whole, months = simulate([fleet], PLAIN, few), bands(fleet, [fleet], PLAIN, few)
    monkeypatch.setattr(draws, "CHUNK", 37)
    assert simulate([fleet], PLAIN, few) == whole
    assert bands(fleet, [fleet], PLAIN, few) == months == bands(fleet, [fleet], PLAIN, replace(few, draws=500))
    assert whole[0].probability_horizon == simulate([fleet], PLAIN, replace(few, draws=500))[0].probability_horizon


def test_the_needed_volumes_tell_the_probability_of_every_volume() -> None:
    """The share of draws that need no more than V is `probability` at V."""
    needed = needed_volumes(equal("6e9"), [equal("6e9")], USUAL)
    for volume in ("4e9", "6e9", "9e9"):
        share = np.searchsorted(needed, float(volume), side="right") / len(needed)
        assert share == simulate([equal(volume)], PLAIN, USUAL)[0].probability


def test_the_bands_close_on_the_horizon_without_uncertainty() -> None:
    """All three lines are the sums, month by month, with commitments as they begin and those that run."""
    row = kind(900, 400, upfront_usd=Fraction(4000), commitment_months=6, price="row")
    fleet = reading([row] * 2, 5, "9e8")
    terms = HorizonTerms(
        18, Fraction(5000), Fraction(0), Decimal("0.2"), Decimal("0.1"), Decimal("0.03"), running(fleet.nodes, 3, 2)
    )
    over = tco(fleet, terms)
    for band, month in zip(bands(fleet, [fleet], terms, sigmas(draws=50)), over.months, strict=True):
        assert band.month == month.number
        assert band.self_hosted_usd == pytest.approx([float(month.self_hosted_sum_usd)] * 3, rel=1e-12)
        assert band.managed_usd == pytest.approx([float(month.managed_sum_usd)] * 3, rel=1e-12)
    made = next(iter(draws.draws([fleet], sigmas(draws=1), 1)))
    ours, theirs = DrawnReading.of(fleet, made).over(FloatTerms.of(fleet, terms))
    assert (ours[0], theirs[0]) == pytest.approx((float(over.self_hosted_usd), float(over.managed_usd)), rel=1e-12)


def test_bands_are_in_order_and_rise() -> None:
    """P10 ≤ P50 ≤ P90, and no sum falls from month to month."""
    found = bands(equal("6e9"), [equal("6e9")], PLAIN, USUAL)
    assert all(list(side) == sorted(side) for band in found for side in (band.self_hosted_usd, band.managed_usd))
    assert [band.managed_usd for band in found] == sorted(band.managed_usd for band in found)


def test_the_library_imports_no_numpy_until_something_is_drawn() -> None:
    """It costs more than all else of a verdict."""
    code = """
import sys
import cost_guard.arithmetic.draws
import cost_guard.arithmetic.uncertainty.tornado
print("numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
