"""What an audit of the first edition's gate found wrong in its verdicts, each with its number and the right value.

The numbers are those of the audits: 2a to 2i of the economics, 1 and 3 to 6 of its other parts, D of the security part.
What was found and what other files hold already:

| finding | where |
|---|---|
| 1a, 1b claims: each row's figure and status, volumes that two nodes must carry | `catalogue/claims/` |
| 1a prices of the articles against the catalogue | `catalogue/claims/test_derived.py` |
| 2a a chart's title against its subtitle, the second crossing | `crossover/report/test_course.py` |
| 2a, 2b the first line: $758,560 too much, $1,022,558 saved | `crossover/commands/test_plan.py` |
| 2b start after month 5: $786,843.81; 2a with a discount | `arithmetic/test_examples.py`: ramp, reserved |
| 2c P, D and sigma are a fit of published shapes | `catalogue/test_throughput.py`, `test_fit.py` |
| 2d, 2h batch and discount are keys of a route | `test_codes.py` |
| 2g a market's ceiling is what a node may cost; 2 × the price | `test_codes.py` |
| 2g spares of spot nodes grow with those that are added | `arithmetic/test_examples.py`: spot |
| 2h machines of one, two and four GPUs | `catalogue/test_catalogue.py` |
| 2h several models in one stack | `test_readings.py` |
| 2i days block what hours pass: -$3,527, +$4,393 | `test_hours.py` |
| 2i a price without a source blocks | `test_codes.py`: managed-known |
| 2i no verdict needs a secret | `crossover/stack/test_verdict.py` |
| 3 a reservation's upfront falls at the start of its month; its spares | `arithmetic/test_tco.py`, `test_examples.py` |
| 4 exports of other products; other traffic than text; a first page alone | `crossover/usage/` |
| 5 words of model, context, ceiling; rows in one order | `crossover/review/test_meant.py`, `preview/test_events.py` |
| 5 a stack that is not initialised; a merge that nobody ended | `crossover/review/preview/test_engine.py`, `strict/` |
| 5 a program of others; `policies/` copied out | `crossover/review/test_foreign.py`, `engine/test_pack.py` |
| 6 title and text of a chart from one value; bars of node price and growth | `crossover/report/test_charts.py` |
| D5 ten 8×H100 of a type that no rule knows | `pack/test_types.py`, `pack/test_accelerators.py` |
| D14 disks, NAT, metal | `pack/test_types.py` |
| D6 the files that judge are told | `crossover/review/test_judges.py` |
| D13 price, volume, sigmas, waiver, prices.toml of the same change | `crossover/review/test_scales.py` |
| D13 a baseline of the same change | `crossover/review/test_approval.py` |
| D20 a stack file without a job fails | `crossover/review/test_command.py` |
| D21 what the gateway may spend is in `budget` | `test_codes.py` |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from math import erf, inf, log, sqrt
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.catalogue.throughput import Throughput
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.scenario.sections.beside import ServedAs
from cost_guard.verdict.verdict import Verdict
from tests.support.catalogue import exactly, served
from tests.support.gate import verdict_of

Plain = Callable[..., dict[str, Any]]
NOV = date(2026, 11, 22)
LAMBDA_USD = 16_293.6
"""22.32 × 730."""
LLAMA_8B, LLAMA_70B, LLAMA_405B = (f"meta-llama/Llama-3.1-{size}-Instruct" for size in ("8B", "70B", "405B"))


@pytest.fixture
def ask(plain: Plain, catalogue: Catalogue) -> Callable[..., Verdict]:
    """ask(volume, price=…, sku=…, model=…, known=…, fleet={…}, other sections): a measured volume of yesterday; two
    nodes of $7,920 and 4,759 tokens/s, or of a row of the catalogue."""

    def build(volume: Any = "6e9", price: Any = 5, *, known: Catalogue = catalogue, **given: Any) -> Verdict:
        rows = {key: given.pop(key) for key in ("sku", "nodes") if key in given}
        model, as_served = given.pop("model", LLAMA_70B), given.pop("served", None)
        given["workload"] = {"kind": "measured", **given.get("workload", {})}
        data = plain(volume, price=price, **given)
        if rows:
            data["fleet"], data["workload"]["model"] = {"nodes": 2, **rows}, model
        return verdict_of(parse_scenario(data), known, NOV, served=as_served)

    return build


def levels(verdict: Verdict) -> dict[str, str]:
    return {reason.code: str(reason.level) for reason in verdict.reasons}


def message(verdict: Verdict, code: str) -> str:
    return next(reason.message for reason in verdict.reasons if reason.code == code)


def saved(verdict: Verdict) -> float:
    """USD over the horizon; below 0 is what it costs too much."""
    assert verdict.tco.managed_usd is not None
    assert verdict.tco.self_hosted_usd is not None
    return float(verdict.tco.managed_usd - verdict.tco.self_hosted_usd)


def saved_a_month(verdict: Verdict) -> float:
    assert verdict.managed_usd_per_month is not None
    assert verdict.self_hosted_usd_per_month is not None
    return float(verdict.managed_usd_per_month - verdict.self_hosted_usd_per_month)


def step(rate: float, rho: float = 1.3) -> float:
    """Tokens a month of a node of so many tokens a second."""
    return rate * 0.7 * 730 * 3600 / rho


def stairs(rate: float, usd: float, price: float) -> tuple[float, float]:
    """`first` and `stable` of two nodes and a spare by a walk over 2,000 steps; infinite where there is none."""
    serves = [(n + 1) * step(rate) for n in range(2000)]
    needs = [((n + 2) * usd + 4100) * 1e6 / price for n in range(2000)]
    first = next((need for need, most in zip(needs, serves, strict=True) if need <= most), inf)
    if usd >= price * step(rate) / 1e6:
        return first, inf
    return first, max(need for need, below in zip(needs, [0, *serves], strict=False) if need > below)


# --- 2a, 2b: the horizon is computed and counts ----------------------------------------------------------------------

DECLINED = sum(30_000 * 0.5 ** (month / 12) for month in range(24))
"""Managed, USD, while the price halves each year."""
RESERVED_USD = 2 * 11.7178 * 730 + 4100


@pytest.mark.parametrize(
    ("volume", "given", "usd", "found", "level", "recommended"),
    [
        ("6e9", {"horizon": {"upfrontUsd": 1_000_000}}, 24 * 10_060 - 1_000_000, -758_560, "BLOCK", "managed"),
        (
            "2e9",
            {"fleet": {"usdPerNodeMonth": 591.3}, "horizon": {"upfrontUsd": 360_000}},
            24 * (10_000 - 2 * 591.3 - 4100) - 360_000,
            -246_782,
            "BLOCK",
            "managed",
        ),
        (
            "6e9",
            {"horizon": {"apiPriceDeclinePerYear": "0.5"}},
            DECLINED - 24 * 19_940,
            -77_674,
            "WARN",
            "self-hosted-until",
        ),
        (
            "9e9",
            {
                "sku": "aws/p4de.24xlarge-reserved-36m",
                "workload": {"growthPerMonth": "-0.1"},
                "horizon": {"months": 24},
            },
            450_000 * (1 - 0.9**24) - 24 * RESERVED_USD - 12 * (RESERVED_USD - 4100),
            -300_182,
            "BLOCK",
            "same-weights",
        ),
        (
            "2e9",
            {"workload": {"growthPerMonth": "0.15"}},
            10_000 * (1.15**24 - 1) / 0.15 - 819_120,
            1_022_558,
            None,
            "self-hosted-from",
        ),
    ],
    ids=["bought for a million", "hardware bought", "the API's price halves", "reserved and shrinking", "ramp"],
)
def test_2a_the_horizon_is_judged(
    ask: Callable[..., Verdict],
    volume: str,
    given: dict[str, Any],
    usd: float,
    found: int,
    level: str | None,
    recommended: str,
) -> None:
    """PASS or WARN they were, the ramp BLOCK and "managed". What falls saves if one leaves, so that one is a WARN; of
    the reserved nodes the model is known, and so is an API that serves it."""
    verdict = ask(volume, **given)
    assert saved(verdict) == pytest.approx(usd)
    assert round(usd) == found
    assert levels(verdict).get("horizon") == level
    assert verdict.recommendation == recommended


def test_2a_a_price_that_halves_is_left_in_its_eighth_month(ask: Callable[..., Verdict]) -> None:
    """30,000·0.5^(7/12) = 20,022 is the last month above 19,940; the lead is gone twice as late."""
    verdict = ask(horizon={"apiPriceDeclinePerYear": "0.5"})
    assert verdict.tco.best_end is not None
    assert verdict.tco.best_end[0] == max(t for t in range(1, 25) if 30_000 * 0.5 ** ((t - 1) / 12) >= 19_940) == 8
    assert [one.cheaper for one in verdict.tco.crossings] == ["self-hosted", "managed"]


def test_2a_the_first_month_that_loses_is_named_and_the_last(ask: Callable[..., Verdict]) -> None:
    """30,000·0.8^((t−1)/12) falls below 19,940 after month 22; what came before saves more than is lost then."""
    assert [t for t in range(1, 25) if 30_000 * 0.8 ** ((t - 1) / 12) < 19_940] == [23, 24]
    verdict = ask(horizon={"apiPriceDeclinePerYear": "0.2"})
    assert "from month 23 to the last, 24, each month loses" in message(verdict, "horizon")


def test_2a_a_commitment_of_36_months_is_judged_over_36(ask: Callable[..., Verdict]) -> None:
    """Where nothing is said of months; nothing is owed after them."""
    verdict = ask("9e9", sku="aws/p4de.24xlarge-reserved-36m", workload={"growthPerMonth": "-0.1"})
    assert (verdict.tco.months, verdict.tco.owed_after) == exactly(36, 0)
    assert saved(verdict) == pytest.approx(450_000 * (1 - 0.9**36) - 36 * RESERVED_USD)


def test_2b_the_block_says_when_to_switch(ask: Callable[..., Verdict]) -> None:
    """The volume passes 3.988B in month 1 + ln(1.994)/ln(1.15) = 5.94."""
    verdict = ask("2e9", workload={"growthPerMonth": "0.15"})
    assert 5 < 1 + log(3.988 / 2) / log(1.15) < 6
    assert levels(verdict)["break-even"] == "BLOCK"
    assert message(verdict, "break-even").endswith("it pays in every month from month 6 on.")
    assert verdict.tco.switch_month == 6


# --- 2c: one throughput whatever the model ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volume", "price", "rate", "nodes", "usd_saved", "first", "stable"),
    [
        ("200e9", 0.22, 73_360, 3, 44_000 - 52_980.8, 388.9, None),
        ("20e9", 2.5, 19_242, 2, 13_312.8, 14.7, None),
        ("12e9", 4.375, 4_759, 3, 52_500 - 52_980.8, None, 15.8),
        ("12e9", 4.375, 3_620, 4, 52_500 - 69_274.4, None, 27.0),
        ("12e9", 4.375, 9_466, 2, 52_500 - 36_687.2, 8.4, 8.4),
    ],
    ids=["8B", "Qwen3-Coder-Next", "70B as it was", "70B at 30 ms", "70B at 2048/128"],
)
def test_2c_each_throughput_has_its_verdict(
    ask: Callable[..., Verdict],
    volume: str,
    price: float,
    rate: int,
    nodes: int,
    usd_saved: float,
    first: float | None,
    stable: float | None,
) -> None:
    """At Lambda's live price: 8B had 31 nodes at $509,202, Qwen was blocked for $19,274 and saves $13,313."""
    verdict = ask(volume, price, fleet={"usdPerNodeMonth": LAMBDA_USD, "tokensPerSecond": rate})
    assert verdict.capacity.nodes_needed == nodes
    assert saved_a_month(verdict) == pytest.approx(usd_saved)
    assert ("break-even" in levels(verdict)) == (usd_saved < 0)
    walked = stairs(rate, LAMBDA_USD, price)
    figures = [float(one or inf) for one in (verdict.break_even.first, verdict.break_even.stable)]
    assert figures == pytest.approx(walked)
    for noted, volume_found in zip((first, stable), figures, strict=True):
        assert noted is None or noted == round(volume_found / 1e9, 1)


@pytest.mark.parametrize(
    "model",
    [LLAMA_8B, LLAMA_70B, "Qwen/Qwen3-Coder-Next", "Qwen/Qwen3-235B-A22B-Instruct-2507", "openai/gpt-oss-120b"],
)
def test_2c_a_model_has_its_own_row_on_a_machine(ask: Callable[..., Verdict], catalogue: Catalogue, model: str) -> None:
    """Not one figure for all: C, nodes and cost follow from P and D of this model on 8 × A100 80 GB."""
    row = catalogue.throughputs[f"8x-a100-sxm-80gb@{model}"]
    rate = 1 / (0.75 / float(row.prefill_tokens_per_second) + 0.25 / float(row.decode_tokens_per_second))
    verdict = ask("200e9", 0.22, sku="lambda/gpu_8x_a100_80gb_sxm4", model=model)
    nodes = max(2, -int(-200e9 // step(rate)) + 1)
    assert float(verdict.capacity.tokens_per_second_per_node or 0) == pytest.approx(rate)
    assert verdict.capacity.nodes_needed == nodes
    assert float(verdict.self_hosted_usd_per_month or 0) == pytest.approx(nodes * LAMBDA_USD + 4100)
    others = {other.prefill_tokens_per_second for other in catalogue.throughputs.values() if other.model != model}
    assert row.prefill_tokens_per_second not in others


@pytest.mark.parametrize(
    ("sku", "model", "length", "level"),
    [
        ("lambda/gpu_8x_a100_80gb_sxm4", LLAMA_405B, 8_192, "BLOCK"),
        ("lambda/gpu_8x_a100_80gb_sxm4", LLAMA_70B, 131_072, None),
        ("aws/p4d.24xlarge", LLAMA_70B, 131_072, "WARN"),
        ("aws/p4d.24xlarge", LLAMA_70B, 8_192, None),
    ],
)
def test_2c_what_does_not_fit_the_memory_is_refused(
    ask: Callable[..., Verdict], sku: str, model: str, length: int, level: str | None
) -> None:
    """A GPU holds 811.7/8 = 101 GB of 405B, of 0.9 × 80; of 70B 17.6 GB and 5.4 GB a request of 131,072 tokens: eight
    are 60.6 GB, which 80 GB hold and 40 do not; of 8,192 tokens eight are 20.3 GB."""
    assert levels(ask(sku=sku, model=model, served=ServedAs(max_model_len=length))).get("model-fits") == level


def test_2c_the_sigma_of_a_throughput_is_its_row_s(ask: Callable[..., Verdict], catalogue: Catalogue) -> None:
    """9B are $45,000: two nodes pay, 36,687, and three do not, 52,981. Two do where one serves 9B: ln(s/9B) in sigmas;
    0.15 for every model made it likelier than the published figures have it."""
    row = catalogue.throughputs[f"8x-a100-sxm-80gb@{LLAMA_70B}"]
    alone = dict.fromkeys(("volume", "outlook", "nodePrice", "apiPrice", "overhead"), 0)
    verdict = ask("9e9", sku="lambda/gpu_8x_a100_80gb_sxm4", uncertainty=alone)
    z = log(step(float(verdict.capacity.tokens_per_second_per_node or 0)) / 9e9) / float(row.sigma)
    assert verdict.break_even.probability_pays == pytest.approx(0.5 * (1 + erf(z / sqrt(2))), abs=0.015)
    assert float(row.sigma) > 0.15


# --- 2d: shape and caching bend both sides ---------------------------------------------------------------------------

FROM_A_PAGE = (18_200, 1_480)
"""P and D of the page that the first edition's 4,759 came from."""


@pytest.fixture
def shaped(ask: Callable[..., Verdict], catalogue: Catalogue) -> Callable[..., Verdict]:
    """shaped(volume, model, r, q): two of the sources' nodes whose P and D are FROM_A_PAGE, against that model."""
    prefill, decode = FROM_A_PAGE
    row: Throughput = served(str(prefill), decodeTokensPerSecond=decode)
    page = replace(catalogue, throughputs={row.key: row})

    def build(volume: str, model: str, inputs: Any, cached: Any = 0) -> Verdict:
        work = {"inputShare": inputs, "cachedShare": cached}
        managed = {"routes": [{"model": model, "share": 1}]}
        return ask(volume, known=page, sku="quoted/lambda-8x-a100-80gb", workload=work, managed=managed)

    return build


@pytest.mark.parametrize(
    ("model", "volume", "shape", "usd_per_million", "rate", "nodes", "survives", "usd_saved"),
    [
        ("gpt-4o", "6e9", ("0.952380952380952381", 0), 60 / 21, 11_834, 2, True, 6_000 * 60 / 21 - 19_940),
        ("gpt-4o", "6e9", ("0.333333333333333333", 0), 7.5, 2_133, 3, False, 45_000 - 27_860),
        ("gpt-4o", "6e9", ("0.75", "0.6"), 3.8125, 5_394, 2, True, 22_875 - 19_940),
        ("claude-sonnet-4-6", "30e9", ("0.95", "0.9"), 1.2915, 25_639, 2, True, 18_805),
    ],
    ids=["20 to 1", "1 to 2", "60 % cached", "coding agent"],
)
def test_2d_shape_and_caching_count_on_both_sides(
    shaped: Callable[..., Verdict],
    model: str,
    volume: str,
    shape: tuple[Any, Any],
    usd_per_million: float,
    rate: int,
    nodes: int,
    survives: bool,
    usd_saved: float,
) -> None:
    """C was 4,759 for all: 1 to 2 "survives one loss" with two nodes, and a coding agent was blocked for $12,875."""
    inputs, cached = (float(one) for one in shape)
    verdict = shaped(volume, model, *shape)
    found = 1 / (inputs * (1 - cached) / FROM_A_PAGE[0] + (1 - inputs) / FROM_A_PAGE[1])
    assert float(verdict.capacity.tokens_per_second_per_node or 0) == pytest.approx(found)
    assert round(found) == rate
    assert float(verdict.managed_usd_per_million or 0) == pytest.approx(usd_per_million)
    assert (verdict.capacity.nodes_needed, verdict.capacity.survives_one_loss) == (nodes, survives)
    assert saved_a_month(verdict) == pytest.approx(usd_saved)
    assert (levels(verdict).get("break-even") == "BLOCK") == (usd_saved < 0)


def test_2d_what_a_given_price_leaves_out_is_told(ask: Callable[..., Verdict]) -> None:
    """A managed price already holds its shape; without a note one would think that 90 % cached made it cheaper."""
    verdict = ask(workload={"inputShare": "0.95", "cachedShare": "0.9"})
    assert verdict.managed_usd_per_month == 30_000
    assert any("inputShare and cachedShare count for the nodes alone" in note for note in verdict.notes)


# --- 2e, 2f, 2g ------------------------------------------------------------------------------------------------------


def test_2e_a_hybrid_displaces_its_cheap_part(ask: Callable[..., Verdict]) -> None:
    """80 % of 50B at $0.72 are $28,800, and 7 nodes $59,540: $30,740 lost, where it was "$11,500 saved"; a node more
    costs 7,920 and takes over 6.734B × $0.72 = $4,849, so never."""
    routes = [
        {"model": "claude-sonnet-4-6", "share": "0.2", "displaced": False},
        {"model": "meta.llama3-3-70b-instruct-v1:0", "share": "0.8"},
    ]
    verdict = ask("50e9", managed={"routes": routes}, fleet={"nodes": 7})
    assert (verdict.managed_usd_per_month, verdict.self_hosted_usd_per_month) == exactly(28_800, 59_540)
    assert levels(verdict)["break-even"] == "BLOCK"
    assert (verdict.break_even.first, verdict.break_even.stable) == (None, None)


def test_2f_a_machine_of_40_gb_is_judged_by_a_modelled_row(ask: Callable[..., Verdict], catalogue: Catalogue) -> None:
    """It was `price-known` and a dead end. 21.957642 × 730 a node; what it serves is a guess, and said to be."""
    row = catalogue.throughputs[f"8x-a100-sxm-40gb@{LLAMA_70B}"]
    rate = 1 / (0.75 / float(row.prefill_tokens_per_second) + 0.25 / float(row.decode_tokens_per_second))
    usd = float(catalogue.prices["aws/p4d.24xlarge"].usd_per_month)
    verdict = ask("12e9", sku="aws/p4d.24xlarge")
    assert levels(verdict)["throughput-known"] == "WARN"
    assert levels(verdict).get("price-known") != "BLOCK"
    nodes = max(2, -int(-12e9 // step(rate)) + 1)
    assert saved_a_month(verdict) == pytest.approx(60_000 - nodes * usd - 4100)
    assert float(verdict.break_even.stable or inf) == pytest.approx(stairs(rate, usd, 5)[1])
    assert float(row.sigma) >= 0.4


@pytest.mark.parametrize(("rate", "stable"), [(1_261, None), (2_400, 10.6), (3_000, 8.66)])
def test_2f_what_it_would_have_to_serve(ask: Callable[..., Verdict], rate: int, stable: float | None) -> None:
    """At the article's $9,800 and $5 a million tokens."""
    found = ask(fleet={"usdPerNodeMonth": 9_800, "tokensPerSecond": rate}).break_even.stable
    assert float(found or inf) == pytest.approx(stairs(rate, 9_800, 5)[1])
    assert (None if found is None else float(f"{float(found) / 1e9:.3g}")) == stable


def mixed(*rungs: tuple[str, str, str]) -> dict[str, Any]:
    """One candidate each: nodes a, b, …"""
    keys = ("cloud", "region", "sku")
    return {
        name: {"candidates": [dict(zip(keys, rung, strict=True))]} for name, rung in zip("abc", rungs, strict=False)
    }


def test_2g_a_mix_of_run_pod_and_spot_costs_what_its_nodes_cost(ask: Callable[..., Verdict]) -> None:
    """14.32 × 730 + 5,500 + 4,100 = 20,053.60, not 25,007; 12B ask for a third, at 10,453.60 or 5,500."""
    rungs = (("runpod", "US-TX-3", "8x-a100-sxm-80gb-secure"), ("vastai", "any", "8x-a100-sxm4-80gb-interruptible"))
    verdict = ask("12e9", 7, nodes=mixed(*rungs))
    assert float(verdict.fixed_usd_per_month or 0) == 20_053.6
    assert [float(one.self_hosted_usd_per_month) for one in verdict.readings] == [30_507.2, 25_553.6]
    assert verdict.self_hosted_usd_per_month == max(one.self_hosted_usd_per_month for one in verdict.readings)


def test_2g_a_mix_of_vast_and_aws_is_never_all_aws(ask: Callable[..., Verdict]) -> None:
    """13.6344 × 730 + 27.44705 × 730 + 4,100 = 34,089.46, and 8B are $40,000; $44,173 was a state that cannot occur. A
    third node at AWS would not pay at once: a WARN."""
    rungs = (("vastai", "x", "8x-a100-sxm4-80gb"), ("aws", "us-east-1", "p4de.24xlarge"))
    verdict = ask("8e9", nodes=mixed(*rungs))
    assert float(verdict.self_hosted_usd_per_month or 0) == pytest.approx(34_089.4585)
    assert verdict.dearest_usd_per_month == verdict.billed_usd_per_month == verdict.fixed_usd_per_month
    assert {one.name for one in verdict.readings} == {"first"}
    assert levels(verdict)["break-even"] == "WARN"


@pytest.mark.parametrize("ceiling", [200, "27.27"])
def test_2g_a_ceiling_far_above_the_price_is_none(ask: Callable[..., Verdict], ceiling: Any) -> None:
    """2 × 13.6344 = 27.2688 at Vast.ai; $200 had the verdict of $14."""
    nodes = mixed(("vastai", "x", "8x-a100-sxm4-80gb"), ("vastai", "y", "8x-a100-sxm4-80gb"))
    for node in nodes.values():
        node["candidates"][0]["maxUsdPerHour"] = ceiling
    verdict = ask("8e9", nodes=nodes)
    assert levels(verdict)["price-ceiling"] == "BLOCK"
    assert float(verdict.fixed_usd_per_month or 0) == pytest.approx(2 * float(ceiling) * 730 + 4100)


@pytest.mark.parametrize(("sigma", "share"), [(0, 1.0), ("0.3", 0.5 * (1 + erf(log(25_900 / 15_840) / 0.3 / sqrt(2))))])
def test_2g_the_price_of_nodes_is_uncertain(ask: Callable[..., Verdict], sigma: Any, share: float) -> None:
    """6B are $30,000: two nodes may cost 25,900 of it, so it pays where 15,840·e^(0.3·z) is at most that."""
    spread = {"nodePrice": sigma, **dict.fromkeys(("volume", "outlook", "throughput", "apiPrice", "overhead"), 0)}
    verdict = ask(uncertainty=spread)
    assert verdict.break_even.probability_pays == pytest.approx(share, abs=0.01)


def test_2g_a_price_that_moves_says_so_in_its_row(ask: Callable[..., Verdict], catalogue: Catalogue) -> None:
    """Vast.ai's was $1.14 and $1.70 on two successive days: ln(1.7043/1.1378)/√2 = 0.286 as the sigma of its row. What
    the scenario gives goes before it."""
    row = catalogue.prices["vastai/8x-a100-sxm4-80gb"]
    assert float(row.sigma) == pytest.approx(log(1.7043 / 1.1378) / sqrt(2), abs=0.0005)
    sure = row.model_copy(update={"sigma": Decimal(0)})
    known = replace(catalogue, prices={**catalogue.prices, row.key: sure})
    alone = dict.fromkeys(("volume", "outlook", "throughput", "apiPrice", "overhead"), 0)
    moving = ask(sku=row.key, uncertainty=alone)
    share = 0.5 * (1 + erf(log(25_900 / (2 * 9_953.112)) / 0.286 / sqrt(2)))
    assert moving.break_even.probability_pays == pytest.approx(share, abs=0.015)
    assert ask(sku=row.key, known=known, uncertainty={**alone, "nodePrice": 0}).break_even.probability_pays == 1
    assert ask(sku=row.key, known=known, uncertainty=alone).break_even.probability_pays == 1


# --- 2h, 2i ----------------------------------------------------------------------------------------------------------


def test_2h_what_grows_with_the_nodes_can_be_said(ask: Callable[..., Verdict]) -> None:
    """30 nodes were $241,700 with the engineer of two; 500 a node more are 15,000."""
    thirty = {"nodes": 30}
    assert ask("120e9", fleet=thirty).fixed_usd_per_month == 241_700
    assert ask("120e9", fleet=thirty, overhead={"usdPerNodeMonth": 500}).fixed_usd_per_month == 256_700


@pytest.mark.parametrize(("volume", "blocked"), [("2e9", True), ("6e9", False)])
def test_2h_hardware_by_the_hour_or_up_front_is_judged_alike(
    ask: Callable[..., Verdict], volume: str, blocked: bool
) -> None:
    """$180,000 a node over 36 months: in 7.66 × 730 a month, or up front beside its power, 591.30. The month's
    break-even is 3.06B or 1.06B, the 36 months' cost is the same to a cent an hour."""
    hourly = ask(volume, fleet={"usdPerNodeMonth": 5_591.8}, horizon={"months": 36})
    bought = ask(volume, fleet={"usdPerNodeMonth": 591.3}, horizon={"months": 36, "upfrontUsd": 360_000})
    simple = [float(one.break_even.simple or 0) / 1e9 for one in (hourly, bought)]
    assert [round(one, 2) for one in simple] == [3.06, 1.06]
    assert float(hourly.tco.self_hosted_usd or 0) == pytest.approx(36 * (2 * 5_591.8 + 4100))
    assert float(bought.tco.self_hosted_usd or 0) == pytest.approx(36 * (2 * 591.3 + 4100) + 360_000)
    assert saved(hourly) == pytest.approx(saved(bought), abs=2 * 36 * 730 * 0.01)
    assert {levels(one).get("horizon") == "BLOCK" for one in (hourly, bought)} == {blocked}


def test_2h_what_hardware_is_worth_in_the_end_counts(ask: Callable[..., Verdict]) -> None:
    """240,000 up front are met by 24 × 10,060; 100,000 left are 100,000 saved."""
    kept = ask(horizon={"upfrontUsd": 340_000, "residualUsd": 100_000})
    assert saved(kept) == 24 * 10_060 - 240_000
    assert levels(ask(horizon={"upfrontUsd": 340_000}))["horizon"] == "BLOCK"
    assert levels(kept).get("horizon") != "BLOCK"


def test_2i_a_good_month_does_not_tell_the_next_year(ask: Callable[..., Verdict]) -> None:
    """4.2B against 3.988B: with a sigma of 0.0065 alone it was 100 %, PASS. The outlook of 0.15 is added as variances
    are: Φ(ln(4.2/3.988)/0.15014) = 63.5 %, a WARN."""
    spread = {"volume": "0.0065", **dict.fromkeys(("throughput", "apiPrice", "overhead"), 0)}
    verdict = ask("4.2e9", uncertainty=spread)
    share = 0.5 * (1 + erf(log(4.2 / 3.988) / sqrt(0.0065**2 + 0.15**2) / sqrt(2)))
    assert share == pytest.approx(0.635, abs=0.001)
    assert verdict.break_even.probability == pytest.approx(share, abs=0.015)
    assert levels(verdict)["probability"] == "WARN"
    assert ask("4.2e9", uncertainty={**spread, "outlook": 0}).break_even.probability == 1


# --- D: what a scenario brings of its own ----------------------------------------------------------------------------


def test_d13_a_price_of_1000_is_set_against_its_model_s(ask: Callable[..., Verdict]) -> None:
    """claude-opus-4-8 costs 0.75 × 5 + 0.25 × 25 = $10 a million tokens."""
    verdict = ask(1e9, 1000, fleet={"nodes": 4})
    assert levels(verdict)["managed-known"] == "WARN"
    assert "$1,000/M tokens is 100.0 times what the catalogue has" in message(verdict, "managed-known")


def test_d13_a_ceiling_of_500_at_lambda_is_refused(ask: Callable[..., Verdict]) -> None:
    """Over 2 × 22.32; it was "as before"."""
    nodes = mixed(("lambda", "r1", "gpu_8x_a100_80gb_sxm4"), ("lambda", "r2", "gpu_8x_a100_80gb_sxm4"))
    nodes["a"]["candidates"][0]["maxUsdPerHour"] = 500
    assert levels(ask("30e9", nodes=nodes))["price-ceiling"] == "BLOCK"


def test_d13_full_nodes_without_a_spare_do_not_survive(ask: Callable[..., Verdict]) -> None:
    """u = 1, k = 0, ρ = 1 and a third more than 6B × 3: two nodes would do, and 19.8B/2.628e6 s = 7,534 tokens/s are
    more than one of them serves: a WARN of capacity whatever the plan asks for."""
    kind = {"targetUtilisation": 1, "spareNodes": 0}
    verdict = ask("19.8e9", rho=1, fleet=kind)
    assert verdict.capacity.nodes_needed == 2
    assert verdict.capacity.survives_one_loss is False
    assert levels(verdict)["capacity"] == "WARN"
