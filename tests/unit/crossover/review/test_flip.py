"""What would turn a verdict is found by asking the gate, nearest first, and holds when it is asked again."""

from __future__ import annotations

from collections.abc import Callable
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
            "managed": {"usdPerMillionTokens": 5, "model": "x", "source": "invoice", "date": TODAY.isoformat()},
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
    assert turned["volume"].decided_by == "before that, break-even, horizon and probability still block"


def test_what_would_block_what_passes() -> None:
    """19,940 at $5 is 3.988B: below it is lost. A third node is needed from 4,759 × 0.7 × 2.628e6 / 1.3 = 6.7344B on;
    up to there it pays at 6B from 19,940 / 6 = $3.3233 on. 3 nodes still pay, 4 do not."""
    turned = found(scenario(2))
    assert turned["volume"].at == Decimal("3.987e9")
    assert turned["managed price"].at == Decimal("3.32")
    assert turned["nodes"].at == 4
    assert all(flip.level is Level.BLOCK for flip in turned.values())
    assert turned["volume"].decided_by == "there break-even, horizon and probability block"
    assert turned["volume"].words.startswith("a volume of at most 3.987B tokens/month (-33.")


def test_the_nearer_side_wins() -> None:
    """At 16B the two nodes are too small: capacity blocks above 2 × 4,759 × 2.628e6 / 1.3 = 19.24B, break-even below
    3.988B; the way up is the shorter one."""
    flip = found(scenario(2, "16e9"))["volume"]
    assert (flip.at, flip.rules) == (Decimal("1.925e10"), ("capacity",))
    assert flip.decided_by == "there capacity blocks"


def test_a_block_that_no_single_input_lifts_says_nothing() -> None:
    """Against tokens of $0.10 no volume pays within a hundredfold; the price alone turns it, from $3.3233 on."""
    turned = found(scenario(2, managed={"usdPerMillionTokens": "0.1"}))
    assert "volume" not in turned
    assert turned["managed price"].at == Decimal("3.33")


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
    served = {"tokensPerMonth": "6e9", "model": "meta-llama/Llama-3.1-70B-Instruct"}
    assert found(scenario(2, fleet=fleet, workload=served))["nodes"].at == 4


def test_a_judge_that_cannot_judge_ends_in_nothing() -> None:
    assert flips(scenario(2), lambda _: None) == ()


NOW = {"volume": Decimal("6e9"), "managed price": Decimal(5), "nodes": Decimal(4)}


def gate_of(blocks: Callable[[Decimal, Decimal, Decimal], bool]) -> Callable[[Scenario], Verdict]:
    """A gate that blocks where `blocks(volume, price, nodes)` says so, and costs no time."""

    def judge_quickly(asked: Scenario) -> Verdict:
        volume, price = asked.workload.tokens_per_month, asked.managed.usd_per_million_tokens
        assert volume is not None
        assert price is not None
        level = Level.BLOCK if blocks(volume, price, Decimal(asked.fleet.node_count)) else Level.PASS
        return replace(VERDICT, level=level, managed_usd_per_million=price)

    return judge_quickly


VERDICT = judge(scenario(2))
EDGES = st.one_of(
    st.tuples(st.just("volume"), st.decimals("0.02", "50", places=3).map(lambda factor: factor * 6 * 10**9)),
    st.tuples(st.just("managed price"), st.decimals("0.1", "250", places=3)),
    st.tuples(st.just("nodes"), st.integers(3, 12).map(Decimal)),
)
"""An input and the least value of it that one side of the edge has."""
SHOWN = {"volume": Decimal("0.001"), "managed price": Decimal("0.01")}
"""By how much a figure may be rounded: of four digits to a part of a thousand, and to a cent."""


@settings(max_examples=25, deadline=None)
@given(edge=EDGES, inverted=st.booleans())
def test_every_flip_is_the_nearest_edge_as_it_is_shown(edge: tuple[str, Decimal], inverted: bool) -> None:
    """From 6B tokens, $5 and 4 nodes, of a gate with one edge in one input: the flip lies beyond it, by no more than
    its rounding, and no other input turns anything."""
    name, least = edge

    def blocks(*asked: Decimal) -> bool:
        return (dict(zip(NOW, asked, strict=True))[name] < least) is not inverted

    ((found_in, flip),) = {flip.input: flip for flip in flips(scenario(4), gate_of(blocks))}.items()
    short = NOW[name] < least
    assert found_in == name
    assert flip.level is (Level.PASS if short is not inverted else Level.BLOCK)
    assert (flip.at < least) is not short
    if name == "nodes":
        assert flip.at == (least if short else least - 1)
    elif name == "volume":
        assert abs(flip.at / least - 1) <= SHOWN[name]
    else:
        assert abs(flip.at - least) <= SHOWN[name]


@settings(max_examples=3, deadline=None)
@given(
    nodes=st.integers(2, 6),
    volume=st.integers(2 * 10**9, 2 * 10**10),
    price=st.decimals("3", "20", places=2),
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
