"""Each reason code both ways, the baseline, the rungs, and the recommendation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Baseline, Scenario, ScenarioError
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.verdict import Verdict
from tests.support.gate import measured, question, verdict_of

Build = Callable[..., Scenario]
Rung = Callable[..., dict[str, Any]]
NOV = date(2026, 11, 22)


def levels(verdict: Verdict) -> dict[str, str]:
    return {reason.code: str(reason.level) for reason in verdict.reasons}


def message(verdict: Verdict, code: str) -> str:
    return next(reason.message for reason in verdict.reasons if reason.code == code)


# --- The stack `local` -----------------------------------------------------------------------------------------------


def test_two_local_nodes_at_6e9_go_through(ladder: Build, catalogue: Catalogue) -> None:
    """$19,940 against $30,000: it pays; the old quotation and the asserted volume warn, because nothing bills."""
    verdict = verdict_of(ladder(), catalogue, NOV)
    codes = ("same-weights", "throughput-known", "price-fresh", "volume-measured")
    assert levels(verdict) == dict.fromkeys([code for code in codes if code in levels(verdict)], "WARN")
    assert {"throughput-known", "price-fresh", "volume-measured"} <= set(levels(verdict))
    assert (verdict.fixed_usd_per_month, verdict.managed_usd_per_month) == (Decimal(19940), Decimal(30000))
    assert "+105.7 %" in verdict.notes[0]


def test_two_local_nodes_at_500e6_are_blocked(ladder: Build, catalogue: Catalogue) -> None:
    """Break-even, projection, gap and what would flip it are all told."""
    verdict = verdict_of(ladder(volume=500e6), catalogue, NOV)
    assert verdict.blocked
    assert message(verdict, "break-even") == (
        "500M tokens/month cost $19,940/month self-hosted (2 nodes) against $2,500/month managed at $5/M tokens, "
        "$17,440/month too much. Break-even is 3.988B tokens/month; the projection is 12.5 % of it. It would pay at "
        "≥ 3.988B tokens/month, at a managed price of ≥ $39.88/M tokens, but at no price of a node: the overhead alone "
        "is $4,100/month."
    )


def test_repair_goes_through_and_growth_does_not(ladder: Build, catalogue: Catalogue, two_nodes: Baseline) -> None:
    """At 500e6 with a baseline of the same two nodes: a warning. A third node: blocked."""
    repair = verdict_of(ladder(volume=500e6), catalogue, NOV, two_nodes)
    assert set(levels(repair).values()) == {"WARN"}
    assert {"break-even", "horizon", "probability", "price-fresh", "volume-measured"} <= set(levels(repair))
    assert "Repair within the baseline of 2 nodes, $19,940/month, approved by a. person" in message(
        repair, "break-even"
    )
    growth = verdict_of(ladder(3, volume=500e6), catalogue, NOV, two_nodes)
    assert levels(growth)["break-even"] == "BLOCK"
    assert "Growth beyond the baseline of 2 nodes, $19,940/month to 3 nodes, $27,860/month" in message(
        growth, "break-even"
    )


def test_scale_in_is_repair(quotation: Build, catalogue: Catalogue, today: date, two_nodes: Baseline) -> None:
    """Fewer nodes than approved pass at any volume."""
    three = two_nodes.model_copy(update={"nodes": 3, "usd_per_month": Decimal(27860)})
    assert not verdict_of(quotation(1), catalogue, today, three).blocked


def test_dearer_nodes_are_growth(quotation: Build, catalogue: Catalogue, today: date, two_nodes: Baseline) -> None:
    """The same two nodes at a higher price a month are judged in full, a cent is enough."""
    dearer = quotation(1, fleet={"usdPerNodeMonth": "7920.005"})
    assert verdict_of(dearer, catalogue, today, two_nodes).blocked
    assert not verdict_of(quotation(1), catalogue, today, two_nodes).blocked


# --- break-even ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volume", "level"),
    [("3987999999", "BLOCK"), ("3988000000", "WARN"), ("4377000000", "WARN"), ("4378000000", "BLOCK"),
     ("5571999999", "BLOCK"), ("5572000000", None), ("9e9", None)],
)  # fmt: skip
def test_break_even_by_volume(
    quotation: Build, catalogue: Catalogue, today: date, volume: str, level: str | None
) -> None:
    """ρ = 2 at $5: loses, pays from 3.988B, loses above 4.377B, pays for good from 5.572B."""
    assert levels(verdict_of(quotation(volume, rho=2), catalogue, today)).get("break-even") == level


def test_a_band_is_named(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """The warning says between which volumes it would not pay, and with how many nodes."""
    verdict = verdict_of(quotation("4e9", rho=2), catalogue, today)
    assert message(verdict, "break-even") == (
        "it pays at 4B tokens/month, but between 4.377B and 5.572B tokens/month (3 nodes) it would not; it pays for "
        "good from 5.572B."
    )


def test_an_unstable_break_even_is_told(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """Where a full node costs exactly what it replaces, it pays at the edges of the steps alone: never for good."""
    free = dict.fromkeys(("engineerUsdPerMonth", "monitoringUsdPerMonth", "storageNetworkUsdPerMonth"), 0)
    fleet = {"tokensPerSecond": 1000, "targetUtilisation": 1, "spareNodes": 0, "usdPerNodeMonth": 2628}
    verdict = verdict_of(quotation("5256e6", rho=1, price=1, overhead=free, fleet=fleet), catalogue, today)
    assert message(verdict, "break-even") == (
        "it pays at 5.256B tokens/month, but just above 5.256B (3 nodes) it would not, and never for good: beyond "
        "2 nodes, self-hosted tokens cost $1/M tokens, not below the managed $1/M tokens."
    )
    assert (verdict.break_even.first, verdict.break_even.stable) == (Decimal(5_256_000_000), None)


def test_none_exists(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """At $0.80 and ρ = 2: m = $1.809 (rounded up $1.81) is not below it, so no volume would pay."""
    verdict = verdict_of(quotation("25e9", rho=2, price="0.80"), catalogue, today)
    text = message(verdict, "break-even")
    assert "No break-even exists: beyond 2 nodes, self-hosted tokens cost $1.81/M tokens" in text
    assert "It would pay at no larger volume, at a managed price of ≥ " in text
    assert (verdict.break_even.first, verdict.break_even.stable) == (None, None)
    assert verdict.break_even.simple == 24_925_000_000


def test_the_flips_are_true(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """Each of the three changes that the message names, made on its own, lets it pay."""
    text = message(verdict_of(quotation("2e9", rho=2), catalogue, today), "break-even")
    assert "at ≥ 3.988B tokens/month, at a managed price of ≥ $9.97/M tokens, or with a node at ≤ $2,950/month" in text
    for flipped in (
        quotation("3.988e9", rho=2),
        quotation("2e9", rho=2, price="9.97"),
        quotation("2e9", rho=2, fleet={"usdPerNodeMonth": 2950}),
    ):
        assert levels(verdict_of(flipped, catalogue, today)).get("break-even") != "BLOCK"


def test_what_is_displaced_is_judged(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """Half of 12e9 is judged as 6e9; the other half stays managed on both sides and is in neither figure, however dear
    it is."""
    half = [
        {"model": "gpt-4o", "share": "0.5"},
        {"model": "claude-opus-4-8", "share": "0.5", "displaced": False},
    ]
    verdict = verdict_of(quotation("12e9", managed={"routes": half}), catalogue, today)
    whole = verdict_of(quotation("6e9", managed={"routes": [{"model": "gpt-4o", "share": 1}]}), catalogue, today)
    assert (verdict.managed_usd_per_month, verdict.break_even) == (whole.managed_usd_per_month, whole.break_even)
    assert "6B tokens/month (50 % of 12B; the rest stays managed on both sides)" in verdict.headline


def test_understated_overhead_is_corrected(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """4,100/(1 − 0.5) = 8,200."""
    verdict = verdict_of(quotation(overhead={"understatedBy": "0.5"}), catalogue, today)
    assert verdict.fixed_usd_per_month == 2 * 7920 + 8200


# --- capacity, redundancy, budget ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volume", "level"),
    # 2 nodes: 25,013,304,000/ρ tokens at full load, half of it after a loss; 0.7 of one node's is n(V)'s first step.
    [("12506652001", "BLOCK"), ("12506652000", "WARN"), ("6253326001", "WARN"), ("4378000000", "WARN"),
     ("4377328200", None)],
)  # fmt: skip
def test_capacity_by_volume(
    quotation: Build, catalogue: Catalogue, today: date, volume: str, level: str | None
) -> None:
    """ρ = 2, C = 4,759: blocked above 2·C·H/ρ; a warning above C·H/ρ and wherever a third node is asked for."""
    verdict = verdict_of(quotation(volume, rho=2, price=50), catalogue, today)
    assert levels(verdict).get("capacity") == level


def test_capacity_figures(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """nodesNeeded, survivesOneLoss and utilisation at 24.9B: two nodes are nearly fully busy."""
    capacity = verdict_of(quotation("24.925e9", rho=1), catalogue, today).capacity
    assert capacity.nodes_needed == 4  # ceil(24.925e9/8.7547e9) + 1
    assert capacity.survives_one_loss is False
    assert capacity.utilisation is not None
    assert round(capacity.utilisation, 4) == Decimal("0.9965")


def test_loss_of_a_node_is_told_apart(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """The fleet may be as large as planned and still not survive, if no spare is asked for."""
    text = message(verdict_of(quotation("9e9", rho=2, price=50, fleet={"spareNodes": 0}), catalogue, today), "capacity")
    assert text.startswith("70 % utilisation at the peak and 0 spare ask for 3 nodes, the fleet has 2; the peak of ")


def test_one_node_is_not_redundant(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """Fewer than two nodes block; two do not."""
    assert levels(verdict_of(quotation(fleet={"nodes": 1}), catalogue, today))["redundancy"] == "BLOCK"
    assert "redundancy" not in levels(verdict_of(quotation(), catalogue, today))


def test_nodes_that_cannot_be_kept_apart_are_blocked(ladder: Build, catalogue: Catalogue, rung: Rung) -> None:
    """Two nodes in one region; a second rung elsewhere or a higher limit helps."""
    together = {"a": [rung()], "b": [rung()]}
    text = message(verdict_of(ladder(together), catalogue, NOV), "redundancy")
    assert "keeps 2 nodes at 1 per failure domain (cloud + region; the candidates offer local/bay-1)" in text
    apart = {"a": [rung()], "b": [rung(), rung(region="bay-2")]}
    assert "redundancy" not in levels(verdict_of(ladder(apart), catalogue, NOV))
    allowed = ladder(together, fleet={"maxPerFailureDomain": 2})
    assert "redundancy" not in levels(verdict_of(allowed, catalogue, NOV))


@pytest.mark.parametrize(
    ("limit", "level"), [(19939, "BLOCK"), (19940, "WARN"), (22155, "WARN"), (22156, None), (None, None)]
)
def test_budget(quotation: Build, catalogue: Catalogue, today: date, limit: int | None, level: str | None) -> None:
    """$19,940 over the budget blocks; over 90 % of it (22,155.6) warns."""
    scenario = quotation(constraints={"budgetUsdPerMonth": limit})
    assert levels(verdict_of(scenario, catalogue, today)).get("budget") == level


def test_budget_does_not_depend_on_volume(
    quotation: Build, catalogue: Catalogue, today: date, two_nodes: Baseline
) -> None:
    """Repair goes through at any volume, so the budget judges what the nodes bill, not what the volume would ask."""
    scenario = quotation("9e9", rho=2, constraints={"budgetUsdPerMonth": 23000})
    assert levels(verdict_of(scenario, catalogue, today, two_nodes)).get("budget") is None


# --- price-known, price-fresh, volume-measured -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sku", "said"),
    [
        ("lambda/gpu_8x_a100_80gb_sxm5", "no price is known for lambda/gpu_8x_a100_80gb_sxm5; did you mean "),
        ("zzz", "no price is known for zzz; known are aws/p4d.24xlarge, "),
        ("lamda/gpu_8x_a100", "there is no cloud lamda (lamda/gpu_8x_a100); did you mean lambda?"),
        ("mainframe/z", "there is no cloud mainframe (mainframe/z); known are aws, existing, lambda, "),
    ],
)
def test_unknown_prices_block(quotation: Build, catalogue: Catalogue, sku: str, said: str) -> None:
    """Nothing is guessed; the figures that cannot be known are None."""
    scenario = quotation()
    fleet = (
        type(scenario)
        .model_validate(
            {
                "workload": {"tokensPerMonth": 1, "model": "org/model"},
                "managed": {"usdPerMillionTokens": 5},
                "fleet": {"nodes": 2, "sku": sku},
            }
        )
        .fleet
    )
    verdict = verdict_of(scenario.model_copy(update={"fleet": fleet}), catalogue, NOV)
    assert levels(verdict)["price-known"] == "BLOCK"
    assert message(verdict, "price-known").startswith(said)
    assert (verdict.fixed_usd_per_month, verdict.break_even.simple, verdict.capacity.nodes_needed) == (None, None, None)
    assert verdict.managed_usd_per_month == 30000
    assert "not known" in verdict.headline


def test_only_local_stands_for_another(ladder: Build, catalogue: Catalogue, rung: Rung) -> None:
    """A cloud that bills could hide its price behind a cheaper one."""
    nodes = {"a": [rung()], "b": [rung(region="bay-2"), rung("aws", standsFor="quoted/x")]}
    with pytest.raises(ScenarioError) as caught:
        verdict_of(ladder(nodes), catalogue, NOV)
    assert caught.value.lines == [
        "fleet.nodes.b.candidates[1]: standsFor is only for the cloud local, got cloud 'aws'; remove it"
    ]


def test_a_local_node_must_stand_for_something(ladder: Build, catalogue: Catalogue, rung: Rung) -> None:
    """It has no price of its own."""
    nodes = {"a": [rung(standsFor=None)], "b": [rung(region="bay-2")]}
    text = message(verdict_of(ladder(nodes), catalogue, NOV), "price-known")
    assert text.startswith("local/sim-8x-a100 has no price of its own; name in standsFor ")


@pytest.mark.parametrize(("age", "level"), [(90, None), (91, "WARN"), (180, "WARN"), (181, "BLOCK"), (-1, "WARN")])
def test_price_fresh_by_age(ladder: Build, catalogue: Catalogue, rung: Rung, age: int, level: str | None) -> None:
    """Over 90 days warns, over 180 blocks what bills money; a price of tomorrow is suspect."""
    nodes = {key: [rung("lambda", region=key, sku="gpu_8x_a100_80gb_sxm4")] for key in "ab"}
    verdict = verdict_of(ladder(nodes, "30e9"), catalogue, date(2026, 9, 20) + timedelta(days=age))
    assert levels(verdict).get("price-fresh") == level


def test_a_stale_price_only_warns_where_nothing_bills(ladder: Build, catalogue: Catalogue, rung: Rung) -> None:
    """Local alone; one billing rung in the ladder, and it blocks. `crossover plan` never blocks for it."""
    assert levels(verdict_of(ladder(), catalogue, NOV))["price-fresh"] == "WARN"
    mixed = {"a": [rung()], "b": [rung(region="bay-2"), rung("aws", sku="p4de.24xlarge")]}
    assert levels(verdict_of(ladder(mixed), catalogue, NOV))["price-fresh"] == "BLOCK"
    assert levels(verdict_of(ladder(mixed), catalogue, NOV, bills_money=False))["price-fresh"] == "WARN"


def test_prices_in_the_scenario_have_no_age(quotation: Build, catalogue: Catalogue) -> None:
    """Form 1 carries its own price."""
    assert "price-fresh" not in levels(verdict_of(quotation(), catalogue, NOV))


@pytest.mark.parametrize(
    ("kind", "fleet_age", "data_age", "level"),
    [
        ("measured", 30, None, "WARN"),
        ("measured", 31, None, "BLOCK"),
        ("measured", None, 90, None),
        ("measured", None, 91, "WARN"),
        ("measured", None, 181, "BLOCK"),
        ("forecast", 400, None, "WARN"),
        ("asserted", None, None, "WARN"),
        ("asserted", 30, None, "WARN"),
        ("asserted", 31, None, "BLOCK"),
    ],
)
def test_volume_measured(
    quotation: Build,
    catalogue: Catalogue,
    two_nodes: Baseline,
    kind: str,
    fleet_age: int | None,
    data_age: int | None,
    level: str | None,
) -> None:
    """An asserted volume is fine for a young fleet, not for one that could measure; data grows old."""
    since, counted = (None if age is None else NOV - timedelta(days=age) for age in (fleet_age, data_age))
    two = None if since is None else two_nodes.model_copy(update={"date": since})
    scenario = quotation(workload={"kind": kind})
    usage = None if counted is None else measured(scenario, counted)
    found = RULES["volume-measured"].find(question(Proposal(scenario, two, usage), catalogue, NOV))
    assert (found and found.level) == level


def test_the_baseline_dates_the_fleet(quotation: Build, catalogue: Catalogue, two_nodes: Baseline) -> None:
    """Growth of a fleet that runs since May on an asserted volume is blocked; its repair only warned of."""
    grown = quotation("6e9", workload={"kind": "asserted"}, fleet={"nodes": 3})
    assert levels(verdict_of(grown, catalogue, NOV, two_nodes))["volume-measured"] == "BLOCK"
    same = quotation("6e9", workload={"kind": "asserted"})
    assert levels(verdict_of(same, catalogue, NOV, two_nodes))["volume-measured"] == "WARN"


def test_an_approval_in_the_future_is_refused(quotation: Build, catalogue: Catalogue, two_nodes: Baseline) -> None:
    """It would make a fleet young for ever."""
    tomorrow = two_nodes.model_copy(update={"date": NOV + timedelta(days=1)})
    with pytest.raises(ScenarioError, match=r"^baseline\.date: 2026-11-23 is after today, 2026-11-22; "):
        verdict_of(quotation(), catalogue, NOV, tomorrow)
    assert verdict_of(quotation(), catalogue, NOV, two_nodes.model_copy(update={"date": NOV}))


def test_a_baseline_does_not_lift_the_rest(quotation: Build, catalogue: Catalogue, two_nodes: Baseline) -> None:
    """capacity, redundancy, price-known and budget stay BLOCK."""
    scenario = quotation("20e9", rho=2, price=50, constraints={"budgetUsdPerMonth": 100})
    found = levels(verdict_of(scenario, catalogue, NOV, two_nodes))
    assert (found["capacity"], found["budget"]) == ("BLOCK", "BLOCK")
    alone = quotation(fleet={"nodes": 1})
    assert levels(verdict_of(alone, catalogue, NOV, two_nodes))["redundancy"] == "BLOCK"


@pytest.mark.parametrize(("section", "key"), [("fleet", "tokensPerSecond"), ("fleet", "targetUtilisation")])
def test_numbers_as_small_as_may_be_given_are_told_in_words(
    quotation: Build, catalogue: Catalogue, section: str, key: str
) -> None:
    """Costs of 10**40 dollars and shares of 10**-28 have more digits than a decimal has by default."""
    verdict = verdict_of(quotation(**{section: {key: "1e-28"}}), catalogue, NOV)
    assert verdict.blocked
    assert verdict.to_json_dict()["verdict"] == "BLOCK"
