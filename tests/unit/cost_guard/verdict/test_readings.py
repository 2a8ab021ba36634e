"""A ladder is judged in its readings, each code at its worst; options, recommendation, and several models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cost_guard.scenario.proposal import parse_proposals
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.verdict.judge import judge_stack
from cost_guard.verdict.verdict import Verdict
from tests.support.catalogue import DAY, MODEL, api, candidate, catalogue, document, exactly, price, served

ROWS = (
    price("runpod/x", "10"), price("lambda/y", "20", machine="8x-h100-sxm-80gb"), served("10000"),
    served("20000", machine="8x-h100-sxm-80gb"), api("api", "5"),
)  # fmt: skip


def judged(data: Any, *rows: Any) -> Verdict:
    return judge_stack(parse_proposals(data, Path()), catalogue(*ROWS, *rows), DAY)


def levels(verdict: Verdict) -> dict[str, str]:
    return {reason.code: str(reason.level) for reason in verdict.reasons}


LADDERS = {
    "a": [candidate("x", "r1"), candidate("y", "r1", "lambda")],
    "b": [candidate("x", "r2"), candidate("y", "r2", "lambda")],
}


def test_every_node_at_its_first_its_dearest_and_its_slowest_rung() -> None:
    """2 × 7,300 + 4,100 with x, 2 × 14,600 + 4,100 with y; the slowest is the first again, and stands once."""
    verdict = judged(document(LADDERS, "9e9"))
    assert [(one.name, one.added, one.self_hosted_usd_per_month) for one in verdict.readings] == [
        exactly("first", "runpod/x", 18_700),
        exactly("dearest", "lambda/y", 33_300),
    ]
    assert verdict.self_hosted_usd_per_month == 33_300
    assert {key: rung.tokens_per_second for key, rung in verdict.rungs.items()} == {
        "runpod/x": 10_000,
        "lambda/y": 20_000,
    }


def test_each_code_counts_at_its_worst_and_names_the_reading() -> None:
    """6e9 cost 30,000: it pays with x, and not with y."""
    verdict = judged(document(LADDERS))
    assert levels(verdict)["break-even"] == "BLOCK"
    (reason,) = [one for one in verdict.reasons if one.code == "break-even"]
    assert reason.message.startswith("with every node at its dearest rung: 6B tokens/month cost $33,300/month")
    by_name = {one.name: {code for code, _, _ in one.reasons} for one in verdict.readings}
    assert "break-even" not in by_name["first"]
    assert "break-even" in by_name["dearest"]


def test_a_mixed_fleet_is_its_nodes_and_not_one_of_them_as_often() -> None:
    """One x and one y: 7,300 + 14,600 + 4,100."""
    verdict = judged(document({"a": [candidate("x", "r1")], "b": [candidate("y", "r2", "lambda")]}, "9e9"))
    assert verdict.fixed_usd_per_month == 26_000
    assert {(one.name, one.added) for one in verdict.readings} == {("first", "runpod/x"), ("first", "lambda/y")}


# --- Options ---------------------------------------------------------------------------------------------------------

IDS = ["managed", "same-weights", "self-hosted", "self-hosted-from", "self-hosted-until", "self-hosted-part"]
TWO = {"a": [candidate("x", "r1")], "b": [candidate("x", "r2")]}


def options(verdict: Verdict) -> dict[str, tuple[Any, Any, bool]]:
    assert [option.id for option in verdict.options] == IDS
    return {option.id: (option.usd_per_month, option.horizon_usd, option.allowed) for option in verdict.options}


def test_six_options_and_the_cheapest_that_is_allowed() -> None:
    """30,000 managed, 12,000 of the same weights at $2, 18,700 self-hosted; 24 months of each."""
    elsewhere = api("host/llama", "2", MODEL)
    found = options(judged(document(TWO), elsewhere))
    assert found["managed"] == (30_000, 720_000, True)
    assert found["same-weights"] == (12_000, 288_000, True)
    assert found["self-hosted"] == (18_700, 448_800, True)
    assert judged(document(TWO), elsewhere).recommendation == "same-weights"
    assert judged(document(TWO)).recommendation == "self-hosted"
    assert options(judged(document(TWO)))["same-weights"] == (None, None, False)


@pytest.mark.parametrize(
    ("constraints", "closed", "recommended"),
    [
        ({"residency": True}, {"managed", "same-weights"}, "self-hosted"),
        ({"fineTuned": True}, {"managed", "same-weights"}, "self-hosted"),
        ({"mlTeam": False}, set(IDS[2:]), "same-weights"),
        ({"budgetUsdPerMonth": 1}, set(IDS[2:]), "same-weights"),
        ({"mlTeam": False, "residency": True}, set(IDS), None),
    ],
)
def test_constraints_and_blocks_close_options(
    constraints: dict[str, Any], closed: set[str], recommended: str | None
) -> None:
    """And change nothing else; where none is open, none is recommended."""
    verdict = judged(document(TWO, constraints=constraints), api("host/llama", "2", MODEL))
    assert {name for name, (_, _, allowed) in options(verdict).items() if not allowed} == closed
    assert all(option.why for option in verdict.options if not option.allowed)
    assert verdict.recommendation == recommended


def test_where_some_would_stay_managed_residency_closes_that_too() -> None:
    """A volume that grows into the fleet is best begun later, which is managed until then."""
    data = document(TWO, "2e9", workload={"growthPerMonth": "0.15"}, constraints={"residency": True})
    found = options(judged(data))
    assert found["self-hosted"][2]
    assert not found["self-hosted-from"][2]


def test_the_articles_thresholds_are_a_note() -> None:
    """No input: the same scenario is judged alike on both sides of $20,000."""
    for volume, said in (("3.9e9", "below $20,000/month"), ("4.1e9", "$20,000 to $80,000/month")):
        assert said in judged(document(TWO, volume)).sources_say


# --- Several models --------------------------------------------------------------------------------------------------


def of_models(**models: Any) -> Any:
    """Each document's own keys below its name; the rest of the first one is shared."""
    own = ("workload", "managed", "fleet")
    shared = {key: value for key, value in next(iter(models.values())).items() if key not in own}
    return {"models": {name: {key: data[key] for key in own} for name, data in models.items()}, **shared}


def test_one_model_in_a_map_is_the_single_form() -> None:
    """But for its name."""
    data = document(LADDERS, "9e9", horizon={"upfrontUsd": 1000}, constraints={"budgetUsdPerMonth": 50_000})
    single, mapped = judged(data), judged(of_models(llama=data))
    first, second = single.to_json_dict(), mapped.to_json_dict()
    assert ([one["name"] for one in first.pop("models")], [one["name"] for one in second.pop("models")]) == (
        ["fleet"],
        ["llama"],
    )
    assert first == second


def test_overhead_is_split_by_what_the_nodes_cost() -> None:
    """7,300·2 of x and 14,600·2 of y: a third and two thirds of 4,100 and of 3,000 up front; the sum is theirs."""
    y = {"c": [candidate("y", "r3", "lambda")], "d": [candidate("y", "r4", "lambda")]}
    both = of_models(small=document(TWO, "9e9", horizon={"upfrontUsd": 3000}), large=document(y, "9e9"))
    verdict = judged(both)
    costs = {one.name: one.self_hosted_usd_per_month for one in verdict.models}
    assert {name: round(float(cost or 0), 6) for name, cost in costs.items()} == {
        "small": round(14_600 + 4100 / 3, 6),
        "large": round(29_200 + 8200 / 3, 6),
    }
    assert round(float(verdict.self_hosted_usd_per_month or 0), 6) == 47_900
    assert verdict.managed_usd_per_month == 90_000
    assert round(float(verdict.tco.self_hosted_usd or 0), 6) == 24 * 47_900 + 3000
    assert [one["name"] for one in verdict.to_json_dict()["models"]] == ["small", "large"]


def test_the_worst_of_several_is_the_verdict_and_says_whose_it_is() -> None:
    """1e9 pay for no two nodes."""
    verdict = judged(of_models(good=document(TWO, "9e9"), bad=document(TWO, "1e9")))
    assert verdict.blocked
    blocked = [reason.message for reason in verdict.reasons if reason.code == "break-even"]
    assert [text.split(":")[0] for text in blocked] == ["bad"]
    assert [one.blocked for one in verdict.models] == [False, True]


def test_a_budget_is_on_the_sum_and_told_once() -> None:
    """Two of 14,600 and 4,100 together: 33,300."""
    shared: dict[str, Any] = {"constraints": {"budgetUsdPerMonth": 33_299}}
    verdict = judged(of_models(one=document(TWO, "9e9", **shared), two=document(TWO, "9e9")))
    told = [reason.message for reason in verdict.reasons if reason.code == "budget"]
    assert len(told) == 1
    assert told[0].startswith("nodes and overhead cost $33,300/month, the budget is $33,299/month: $1 over it.")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ({"models": {}}, ["models: expected a map of names to models, got {}"]),
        (
            {"models": {"A b": {}}},
            ["models: the name 'A b' must be lower-case letters, digits and hyphens, e.g. coder"],
        ),
        (
            {"models": {"a": {}}, "fleet": {}},
            ["models: fleet stands beside it; with models each has its own, below its name"],
        ),
        ({"models": {"a": {"overhead": {}}}}, ["models.a.overhead: unknown key; known are workload, managed, fleet"]),
        (
            {"models": {"a": document(TWO), "b": document(TWO)}, "overhead": {"monitoring": 1}},
            ["overhead.monitoring: unknown key (did you mean monitoringUsdPerMonth?)"],
        ),
    ],
)  # fmt: skip
def test_a_map_of_models_is_refused_by_key(data: Any, lines: list[str]) -> None:
    """What all share is told once, and by its own key."""
    with pytest.raises(ScenarioError) as caught:
        parse_proposals(data, Path())
    assert caught.value.lines == lines
