"""What would turn a verdict is found by asking the gate, nearest first, and holds when it is asked again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.catalogue.catalogue import ManagedRates, load_catalogue
from cost_guard.codes import Level
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.scenario.scenario import Scenario
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.review.flip import Flip, flips
from tests.support.gate import verdict_of
from tests.unit.crossover.review.conftest import CERTAIN, TODAY

CATALOGUE = load_catalogue()


def scenario(nodes: int, volume: Any = "6e9", **sections: Any) -> Scenario:
    """Nodes of $7,920 and 4,759 tokens/s against $5, and no uncertainty: figures come out exactly."""
    return parse_scenario(
        {
            "workload": {"tokensPerMonth": volume, "kind": "measured"},
            "managed": {"usdPerMillionTokens": 5},
            "fleet": {"nodes": nodes, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
            "uncertainty": CERTAIN,
            **sections,
        }
    )


def judge(given: Scenario) -> Verdict:
    return verdict_of(given, CATALOGUE, TODAY, bills_money=False)


def found(given: Scenario) -> dict[str, Flip]:
    return {flip.input: flip for flip in flips(given, judge)}


def test_what_would_lift_a_block() -> None:
    """4 nodes cost 4 × 7,920 + 4,100 = 35,780: at $5 that is 7.156B tokens, at 6B it is $5.9634. 3 cost 27,860."""
    turned = found(scenario(4))
    assert turned["volume"].at == Decimal("7.156e9")
    assert turned["managed price"].at == Decimal("5.97")
    assert turned["nodes"].at == 3
    assert turned["volume"].words == "a volume of at least 7.156B tokens/month (+19.3 %)"
    assert turned["managed price"].words == "a managed price of at least $5.97/M tokens (+19.4 %)"
    assert turned["nodes"].words == "3 nodes instead of 4"
    assert turned["volume"].decided_by == "before that, break-even and probability still block"


def test_what_would_block_what_passes() -> None:
    """19,940 at $5 is 3.988B: below it is lost. A third node is needed from 4,759 × 0.7 × 2.628e6 / 1.3 = 6.7344B on;
    at 27,860 / 6.7344 = $4.137 it loses there, so that 6B no longer pay for good. 3 nodes still pay, 4 do not."""
    turned = found(scenario(2))
    assert turned["volume"].at == Decimal("3.987e9")
    assert turned["managed price"].at == Decimal("4.13")
    assert turned["nodes"].at == 4
    assert all(flip.level is Level.BLOCK for flip in turned.values())
    assert turned["volume"].decided_by == "there break-even and probability block"
    assert turned["volume"].words.startswith("a volume of at most 3.987B tokens/month (-33.")


def test_the_nearer_side_wins() -> None:
    """At 16B the two nodes are too small: capacity blocks above 2 × 4,759 × 2.628e6 / 1.3 = 19.24B, break-even below
    3.988B; the way up is the shorter one."""
    flip = found(scenario(2, "16e9"))["volume"]
    assert (flip.at, flip.rules) == (Decimal("1.925e10"), ("capacity",))
    assert flip.decided_by == "there capacity blocks"


def test_a_block_that_no_single_input_lifts_says_nothing() -> None:
    """Against tokens of $0.10 no volume pays within a hundredfold; the price alone turns it, from $4.137 on."""
    turned = found(scenario(2, managed={"usdPerMillionTokens": "0.1"}))
    assert "volume" not in turned
    assert turned["managed price"].at == Decimal("4.14")


def test_a_redundancy_block_is_lifted_by_a_second_node_alone() -> None:
    turned = found(scenario(1))
    assert list(turned) == ["nodes"]
    assert turned["nodes"].words == "2 nodes instead of 1"
    assert turned["nodes"].rules == ("redundancy",)


def test_the_rule_that_decides_a_figure_is_named() -> None:
    """4 nodes pay from 7.156B with the inputs as given; that half of the draws pay takes a little more."""
    turned = found(scenario(4, uncertainty={"draws": 2000}))
    assert turned["volume"].at > Decimal("7.156e9")
    assert turned["volume"].rules == turned["managed price"].rules == ("probability",)


def test_routes_are_varied_as_one_price() -> None:
    """A price of several models is one blended figure to a reviewer."""
    row = {"date": "2026-04-01", "source": "synthetic", "outputUsdPerMillion": 5}
    prices = {"a": 4, "b": 6}
    models = {
        name: ManagedRates.model_validate({"key": name, "inputUsdPerMillion": usd, **row})
        for name, usd in prices.items()
    }
    catalogue = replace(CATALOGUE, managed=models)

    def judge_routes(given: Scenario) -> Verdict:
        return verdict_of(given, catalogue, TODAY, bills_money=False)

    routed = scenario(4, managed={"routes": [{"model": name, "share": 0.5} for name in models]})
    turned = {flip.input: flip for flip in flips(routed, judge_routes)}
    assert turned["managed price"].now == 5  # 0.75 × (4 + 6) / 2 + 0.25 × 5
    assert turned["managed price"].at == found(scenario(4))["managed price"].at


def test_a_ladder_grows_in_a_failure_domain_of_its_own() -> None:
    """More nodes than regions are refused for redundancy: what is asked about is the money."""
    rung = {"cloud": "local", "sku": "x", "standsFor": "quoted/lambda-8x-a100-80gb"}
    fleet = {"nodes": {key: {"candidates": [{**rung, "region": key}]} for key in "ab"}}
    assert found(scenario(2, fleet=fleet))["nodes"].at == 4


def test_a_judge_that_cannot_judge_ends_in_nothing() -> None:
    assert flips(scenario(2), lambda _: None) == ()


@settings(max_examples=12, deadline=None)
@given(
    nodes=st.integers(2, 6),
    volume=st.integers(10**8, 4 * 10**10),
    price=st.decimals("0.5", "20", places=2),
)
def test_every_flip_turns_the_verdict_and_half_of_it_does_not(nodes: int, volume: int, price: Decimal) -> None:
    """At the value that is shown the verdict is the other one; between there and now, on the way up or down in steps,
    nothing nearer was passed over."""
    given_ = scenario(nodes, volume, managed={"usdPerMillionTokens": str(price)})
    now = judge(given_)
    for name, flip in found(given_).items():
        if name == "volume":
            work = given_.workload
            there = judge(given_.model_copy(update={"workload": work.model_copy(update={"tokens_per_month": flip.at})}))
            half = work.model_copy(update={"tokens_per_month": (flip.at + flip.now) / 2})
            middle = judge(given_.model_copy(update={"workload": half}))
            assert middle.blocked is now.blocked
        elif name == "managed price":
            managed = given_.managed.model_copy(update={"usd_per_million_tokens": flip.at})
            there = judge(given_.model_copy(update={"managed": managed}))
        else:
            fleet = given_.fleet.model_copy(update={"nodes": int(flip.at)})
            there = judge(given_.model_copy(update={"fleet": fleet}))
        assert there.blocked is not now.blocked
        assert there.level is flip.level
