"""Spot, reserved and hybrid: what the terms of a price change, and which part of the volume is worth displacing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.breakeven import Staircase
from cost_guard.arithmetic.mix import Sunk, Terms, against_unsunk, best_displaced, extra_spare_nodes, sunk, terms_of
from cost_guard.catalogue.catalogue import Catalogue, Price
from cost_guard.scenario.proposal import parse_baseline, parse_scenario
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.verdict.verdict import Verdict
from tests.support.gate import verdict_of
from tests.unit.cost_guard.arithmetic.test_breakeven import probes, staircases

Plain = Callable[..., dict[str, Any]]
DAY = date(2026, 5, 1)


def price(**fields: Any) -> Price:
    row = {"key": "c/s", "date": DAY, "source": "s", "kind": "list", "usdPerMonth": 6000, **fields}
    return Price.model_validate(row)


SPOT = price(terms="spot", interruptionLoss="0.2")
RESERVED = price(terms="reserved", commitmentMonths=12, upfrontUsd=24_000)


@pytest.fixture
def judged(plain: Plain, catalogue: Catalogue) -> Callable[..., Verdict]:
    """judged(price, volume, nodes=…): form 2 on a catalogue with that price and 4,759 tokens/s."""

    def build(row: Price, volume: Any = "6e9", nodes: int = 2, baseline: Baseline | None = None) -> Verdict:
        served = catalogue.throughputs["lambda/gpu_8x_a100_80gb_sxm4"]
        known = replace(catalogue, prices={"c/s": row}, throughputs={"c/s": served})
        data = {**plain(volume, workload={"kind": "measured"}), "fleet": {"nodes": nodes, "sku": "c/s"}}
        return verdict_of(parse_scenario(data), known, date(2026, 5, 31), baseline)

    return build


def approved(day: str, nodes: int = 2) -> Baseline:
    return parse_baseline({"nodes": nodes, "usdPerMonth": 99999, "approvedBy": "a. person", "date": day})


def test_spot_is_paid_for_the_time_that_serves(judged: Callable[..., Verdict]) -> None:
    """$6,000/(1 − 0.2) = $7,500 a node; the throughput stays; the price as listed, its loss and both dates are told."""
    verdict = judged(SPOT)
    assert verdict.fixed_usd_per_month == 2 * 7500 + 4100
    assert verdict.capacity.tokens_per_second_per_node == 4759
    assert verdict.inputs["usdPerNodeMonth"].value == 7500
    assert (verdict.inputs["interruptionLoss"].value, verdict.inputs["interruptionLoss"].date) == (Decimal("0.2"), DAY)
    assert "counts as $7,500/month of service, and 1 spare node more" in verdict.notes[0]


@pytest.mark.parametrize(("nodes", "more"), [(1, 1), (2, 1), (5, 1), (6, 2), (40, 8)])
def test_spot_needs_more_spares(nodes: int, more: int) -> None:
    """As many as are gone on average, rounded up; none for other terms or without a loss."""
    assert extra_spare_nodes(SPOT, nodes) == more
    assert extra_spare_nodes(RESERVED, nodes) == extra_spare_nodes(None, nodes) == 0
    assert extra_spare_nodes(price(terms="spot"), nodes) == 0


def test_the_spares_of_spot_are_in_the_staircase(judged: Callable[..., Verdict]) -> None:
    """6e9 at ρ = 1.3 fit one node: with one spare two are enough on demand, on spot a third is asked for."""
    assert judged(price(usdPerMonth=7500)).capacity.nodes_needed == 2
    verdict = judged(SPOT)
    assert verdict.capacity.nodes_needed == 3
    assert verdict.self_hosted_usd_per_month == 3 * 7500 + 4100
    (text,) = [reason.message for reason in verdict.reasons if reason.code == "capacity"]
    assert "2 spare ask for 3 nodes, the fleet has 2" in text
    assert verdict.inputs["extraSpareNodes"].value == 1


def test_what_is_paid_up_front_is_in_the_month_and_in_the_tco(judged: Callable[..., Verdict]) -> None:
    """$6,000 + $24,000/12 = $8,000 a node a month; over 24 months two commitments of two nodes, each in full."""
    verdict = judged(RESERVED)
    assert verdict.fixed_usd_per_month == 2 * 8000 + 4100
    assert verdict.tco.self_hosted_usd == 24 * (2 * 6000 + 4100) + 2 * 2 * 24_000
    assert verdict.inputs["commitmentMonths"].value == 12
    assert verdict.inputs["upfrontUsdPerNode"].value == 24_000
    assert "with what is paid up front" in verdict.notes[0]


@pytest.mark.parametrize(
    ("day", "left"),
    [("2026-05-31", 12), ("2026-05-01", 12), ("2026-04-30", 11), ("2025-06-30", 1), ("2025-05-31", 0),
     ("2027-01-01", 12)],
)  # fmt: skip
def test_a_commitment_runs_from_the_baseline(day: str, left: int) -> None:
    """By whole months on 2026-05-31; over, it binds nobody; a baseline of the future has just begun."""
    assert sunk(RESERVED, approved(day, 3), date(2026, 5, 31)) == (Sunk(3, left) if left else Sunk(0, 0))
    assert sunk(price(), approved(day), date(2026, 5, 31)) == sunk(RESERVED, None, DAY) == Sunk(0, 0)


def test_a_fleet_scaled_in_still_costs_its_commitment(judged: Callable[..., Verdict]) -> None:
    """Three nodes reserved seven months ago, two asked for: the third is paid for five months more."""
    free = price(terms="reserved", commitmentMonths=12)
    alone, scaled_in = judged(free), judged(free, baseline=approved("2025-10-31", nodes=3))
    assert (scaled_in.tco.self_hosted_usd or 0) - (alone.tco.self_hosted_usd or 0) == 5 * 6000
    (note,) = [note for note in scaled_in.notes if note.startswith("Committed: ")]
    assert note == (
        "Committed: 3 reserved nodes for 5 more months, $18,000/month whatever is served. Against what is not yet "
        "sunk, it pays for good from 820M tokens/month."
    )


@given(staircases, st.integers(0, 6))
@settings(max_examples=300, deadline=None)
def test_the_break_even_of_what_is_not_sunk(made: Staircase, owed: int) -> None:
    """Brute force: cost without the owed nodes, which never shrink below their number."""
    found = against_unsunk(made, Sunk(owed, 3), Terms(Fraction(made.usd_per_node)))
    grid = probes(made, 40)
    for volume in grid:
        nodes = max(made.nodes_at(volume), owed)
        assert found.cost(volume) == (nodes - owed) * Fraction(made.usd_per_node) + made.overhead
    if found.first is not None:
        assert found.first == 0 or found.pays(found.first)
        assert not any(found.pays(volume) for volume in grid if volume < found.first)
    else:
        assert not any(found.pays(volume) for volume in grid)
    assert (found.stable is None) is (made.stable is None)
    if found.stable is not None:
        assert all(found.pays(volume) for volume in grid if volume >= found.stable)
        assert found.stable == 0 or not found.pays(found.stable * (1 - Fraction(1, 10**12)))


@given(staircases, st.integers(1, 10**11))
@settings(max_examples=300, deadline=None)
def test_the_best_displaced_part_by_brute_force(made: Staircase, total: int) -> None:
    """No edge of a step, no middle, no end saves more; what is named saves what is said."""
    best = best_displaced(made, Fraction(total))
    assert 0 <= best.volume <= total
    if best.volume:
        assert best.saving == made.managed(best.volume) - made.cost(best.volume)
    grid = [volume for volume in probes(made, 40) if volume <= total]
    grid += [Fraction(total) * part / 97 for part in range(1, 98)]
    assert best.saving >= max(made.managed(volume) - made.cost(volume) for volume in grid)
    assert best.saving >= 0


def test_the_worthwhile_share_is_told(quotation: Callable[..., Scenario], catalogue: Catalogue, today: date) -> None:
    """At 5e9, ρ = 2, the third node loses: displacing what two carry, 4.377B of 5B, saves $1,946.64."""
    verdict = verdict_of(quotation("5e9", rho=2), catalogue, today)
    (note,) = verdict.notes
    assert note == (
        "Hybrid: displacing 87.5 % of 5B tokens/month (4.377B) saves most, $1,946.64/month against all of it managed."
    )
    assert verdict_of(quotation("6e9"), catalogue, today).notes == ()  # all of it is best
    assert verdict_of(quotation("1e9"), catalogue, today).notes == ()  # none of it is


def test_terms_are_exact() -> None:
    """1/(1 − 0.07) does not terminate: it stays a rational until it is shown."""
    assert terms_of(price(terms="spot", interruptionLoss="0.07")).usd_per_month == Fraction(600_000, 93)
