"""The codes of the second edition, each both ways: horizon, same weights, managed price, model, ceilings, budget."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import Proposal, parse_proposal
from cost_guard.scenario.sections.beside import GatewaySpend, ServedAs
from cost_guard.verdict.judge import judge
from cost_guard.verdict.verdict import Verdict
from tests.support.catalogue import DAY, MODEL, api, candidate, catalogue, document, exactly, price, served

TWO = {"a": [candidate("x", "r1", maxUsdPerHour=11)], "b": [candidate("x", "r2", maxUsdPerHour=11)]}
BASIC = (price("runpod/x", "10"), served("10000"), api("api", "5"))
"""Two nodes of $7,300 and 4,100 of overhead: 18,700 a month. s = 10,000·0.7·2,628,000/1.3 tokens a month."""
STEP = 10_000 * 0.7 * 2_628_000 / 1.3


def proposed(data: Any, **beside: Any) -> Proposal:
    """Its parsed form."""
    return parse_proposal(data, beside.pop("baseline", None), **beside)


def judged(data: Any, known: Catalogue | None = None, day: date = DAY, **beside: Any) -> Verdict:
    return judge(proposed(data, **beside), known or catalogue(*BASIC), day)


def levels(verdict: Verdict) -> dict[str, str]:
    return {reason.code: str(reason.level) for reason in verdict.reasons}


def message(verdict: Verdict, code: str) -> str:
    return next(reason.message for reason in verdict.reasons if reason.code == code)


def test_a_plain_fleet_that_pays_has_only_the_volume_against_it() -> None:
    """30,000 managed against 18,700."""
    verdict = judged(document(TWO))
    assert levels(verdict) == {"volume-measured": "WARN"}
    assert (verdict.self_hosted_usd_per_month, verdict.managed_usd_per_month) == exactly(18_700, 30_000)


# --- horizon ---------------------------------------------------------------------------------------------------------


def test_what_loses_over_the_horizon_blocks_though_the_month_pays() -> None:
    """11,300 saved a month are 271,200 in 24; with a million up front it loses 728,800."""
    verdict = judged(document(TWO, horizon={"upfrontUsd": 1_000_000}))
    assert levels(verdict)["horizon"] == "BLOCK"
    assert "it costs $728,800 too much ($1,448,800 self-hosted against $720,000 managed)" in message(verdict, "horizon")
    assert "break-even" not in levels(verdict)


def test_what_pays_later_is_told_when() -> None:
    """2e9 at $5 cost 10,000; they grow 15 % a month, and 18,700 are reached in month 6: 10,000·1.15⁵ = 20,114."""
    verdict = judged(document(TWO, "2e9", workload={"growthPerMonth": "0.15"}))
    assert levels(verdict)["break-even"] == "BLOCK"
    assert "it pays in every month from month 6 on" in message(verdict, "break-even")
    assert verdict.tco.switch_month == 6
    assert "horizon" not in levels(verdict) or levels(verdict)["horizon"] == "WARN"


def test_a_price_that_falls_is_told_by_the_month_from_which_managed_is_cheaper() -> None:
    """Halving each year, 6e9 cost 30,000·0.5^(t/12): below 18,700 a month within the first year."""
    verdict = judged(document(TWO, horizon={"apiPriceDeclinePerYear": "0.5"}))
    text = message(verdict, "horizon")
    assert levels(verdict)["horizon"] == "WARN"
    assert "too much" in text
    assert "it saves $" in text
    assert verdict.tco.best_end is not None
    assert f"if one leaves after month {verdict.tco.best_end[0]}" in text
    assert [one.cheaper for one in verdict.tco.crossings] == ["self-hosted", "managed"]


def test_a_commitment_that_outlasts_the_horizon_is_told() -> None:
    """36 months of 7,300, and a horizon of 24: 12 × 14,600 = 175,200 are still owed."""
    reserved = price("runpod/x", "10", terms="reserved", commitmentMonths=36)
    verdict = judged(document(TWO, "9e9", horizon={"months": 24}), catalogue(reserved, *BASIC[1:]))
    assert verdict.tco.owed_after == 175_200
    assert "$175,200 of commitments are still owed after the horizon" in message(verdict, "horizon")


def test_the_horizon_is_as_long_as_the_longest_commitment() -> None:
    reserved = price("runpod/x", "10", terms="reserved", commitmentMonths=36)
    assert judged(document(TWO, "9e9"), catalogue(reserved, *BASIC[1:])).tco.months == 36
    assert judged(document(TWO, "9e9")).tco.months == 24


# --- same-weights ----------------------------------------------------------------------------------------------------

ELSEWHERE = api("host/llama-70b", "0.5", MODEL, provider="host")


@pytest.mark.parametrize(
    ("managed", "constraints", "level"),
    [
        ({}, {}, "BLOCK"),
        ({"notSameWeights": {"reason": "rate limits", "approvedBy": "cfo", "date": "2026-11-01"}}, {}, "WARN"),
        ({"notSameWeights": {"reason": "rate limits", "approvedBy": "cfo", "date": "2025-11-22"}}, {}, "WARN"),
        ({"notSameWeights": {"reason": "rate limits", "approvedBy": "cfo", "date": "2025-11-21"}}, {}, "BLOCK"),
        ({"notSameWeights": {"reason": "rate limits", "approvedBy": "cfo", "date": "2026-11-23"}}, {}, "BLOCK"),
        ({}, {"residency": True}, "WARN"),
        ({}, {"fineTuned": True}, "WARN"),
    ],
)
def test_same_weights(managed: dict[str, Any], constraints: dict[str, Any], level: str) -> None:
    """3,000 at $0.50 against 18,700: blocked, unless somebody's word of at most 365 days or a constraint says why."""
    verdict = judged(document(TWO, managed=managed, constraints=constraints), catalogue(*BASIC, ELSEWHERE))
    assert levels(verdict).get("same-weights") == level
    assert "host/llama-70b serves these weights at $0.50/M tokens: $3,000/month" in message(verdict, "same-weights")
    assert verdict.same_weights is not None
    assert (verdict.same_weights.model, verdict.same_weights.usd_per_month) == exactly("host/llama-70b", 3000)


def test_same_weights_that_cost_more_are_no_reason() -> None:
    """$4 × 6,000 = 24,000 is above 18,700; and without a row there is a note alone."""
    dear = api("host/llama-70b", "4", MODEL)
    assert "same-weights" not in levels(judged(document(TWO), catalogue(*BASIC, dear)))
    verdict = judged(document(TWO))
    assert verdict.same_weights is None
    assert any("No API is known that serves the weights" in note for note in verdict.notes)


# --- managed-known ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({"source": None}, "BLOCK", "needs managed.source: "),
        ({"date": None}, "BLOCK", "needs managed.date: "),
        ({"date": (DAY - timedelta(days=90)).isoformat()}, None, ""),
        ({"date": (DAY - timedelta(days=91)).isoformat()}, "WARN", "91 days old (over 90)"),
        ({"date": (DAY - timedelta(days=180)).isoformat()}, "WARN", "180 days old (over 90)"),
        ({"date": (DAY - timedelta(days=181)).isoformat()}, "BLOCK", "181 days old (over 180)"),
        ({"date": (DAY + timedelta(days=1)).isoformat()}, "WARN", "is dated 2026-11-23, after"),
        ({"model": None}, "WARN", "managed.model does not say whose price it is"),
        ({"model": "apy"}, "WARN", "did you mean api?"),
        ({"usdPerMillionTokens": "7.5"}, None, ""),
        ({"usdPerMillionTokens": "7.51"}, "WARN", "is 1.5 times what the catalogue has for api, $5/M tokens"),
    ],
)
def test_managed_known(changed: dict[str, Any], level: str | None, said: str) -> None:
    """A price needs a source and a day of the last 180; it is set against the catalogue's, times 1.5."""
    data = document(TWO)
    data["managed"] = {key: value for key, value in {**data["managed"], **changed}.items() if value is not None}
    verdict = judged(data)
    assert levels(verdict).get("managed-known") == level
    if level:
        assert said in message(verdict, "managed-known")


def test_routes_have_their_rows_sources() -> None:
    data = document(TWO)
    data["managed"] = {"routes": [{"model": "api", "share": 1}]}
    assert "managed-known" not in levels(judged(data))


def test_routes_are_priced_with_discount_and_batches() -> None:
    """5·(1 − 0.1)·(1 − 0.4·0.5) = 3.60 of 0.75, and what is not displaced is in no figure."""
    rows = (*BASIC[:2], api("api", "5", batchDiscount="0.5"), api("frontier", "20"))
    data = document(TWO, "8e9")
    data["managed"] = {"routes": [
        {"model": "api", "share": "0.75", "discount": "0.1", "batchShare": "0.4"},
        {"model": "frontier", "share": "0.25", "displaced": False},
    ]}  # fmt: skip
    verdict = judged(data, catalogue(*rows))
    assert (float(verdict.managed_usd_per_million or 0), verdict.displaced_tokens_per_month) == exactly(3.6, 6 * 10**9)
    assert verdict.managed_usd_per_month == 21_600
    unknown = judged(data, catalogue(*BASIC, api("frontier", "20")))
    assert "no batch price is known of api" in message(unknown, "price-known")


# --- model-fits, throughput-known, price-ceiling ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served_as", "level"),
    [
        (ServedAs(), None),
        (ServedAs(tensor_parallel_size=3), "BLOCK"),
        (ServedAs(tensor_parallel_size=1), "BLOCK"),
        (ServedAs(max_model_len=200_000), "WARN"),
        (ServedAs(max_model_len=2_000_000), "BLOCK"),
        (ServedAs(tensor_parallel_size=16), "BLOCK"),
    ],
)
def test_model_fits(served_as: ServedAs, level: str | None) -> None:
    """70.6e9 parameters × 2 bytes over 8 GPUs are 16.4 GiB each, of 0.9 × 79.1 = 71.2 GiB; a token takes 2·80 layers·
    1 head·128·2 bytes = 40,960, so a request of 200,000 tokens takes 7.6 GiB (7 fit), of 2,000,000
    76 GiB."""
    assert levels(judged(document(TWO), served=served_as)).get("model-fits") == level


@pytest.mark.parametrize(("model", "level"), [("org/unknown", None), ("meta-llama/Llama-3.1-405B-Instruct", "BLOCK")])
def test_finding_13_a_config_json_of_ones_own_says_what_the_catalogue_does_not_know(
    model: str, level: str | None
) -> None:
    """Audit 13: one of two layers and 3.5e9 parameters fits anywhere; 405B of the catalogue, 94 GiB a GPU, do not."""
    shape = {"parameters": 3_500_000_000, "layers": 2, "full_layers": 2, "heads": 64, "kv_heads": 8, "head_size": 128,
             "hidden": 8192, "vocabulary": 128_256, "context": 131_072}  # fmt: skip
    verdict = judged(document(TWO, workload={"model": model}), served=ServedAs.model_validate({"shape": shape}))
    assert levels(verdict).get("model-fits") == level


def test_a_model_that_nobody_knows_is_warned_of_and_has_no_throughput() -> None:
    verdict = judged(document(TWO, workload={"model": "org/unknown"}))
    assert (levels(verdict)["model-fits"], levels(verdict)["throughput-known"]) == ("WARN", "BLOCK")
    assert verdict.self_hosted_usd_per_month is None
    assert not [option for option in verdict.options if option.allowed]


def test_a_misspelt_model_is_told_as_such() -> None:
    verdict = judged(document(TWO, workload={"model": "meta-llama/Llama-3.3-70B-Instuct"}))
    assert "did you mean meta-llama/Llama-3.3-70B-Instruct?" in message(verdict, "throughput-known")


@pytest.mark.parametrize(
    ("row", "work", "level", "said"),
    [
        (served("10000", kind="modelled", sigma="0.4"), {}, "WARN", "is modelled, with a sigma of 0.4"),
        (served("10000", kind="illustrative"), {}, "WARN", "is illustrative"),
        (served("10000", millisecondsPerOutputToken=None), {}, "WARN", "does not look at latency"),
        (served("10000"), {"cachedShare": "0.5"}, "WARN", "in their own cache, as the managed API does, is assumed"),
        (served("10000"), {"cachedShare": "0.5", "prefixHitShare": "0.2"}, None, ""),
        (served("10000", machine="8x-h100-sxm-80gb"), {}, "BLOCK", "no throughput is known of meta-llama/"),
    ],
)
def test_throughput_known(row: Any, work: dict[str, Any], level: str | None, said: str) -> None:
    verdict = judged(document(TWO, workload=work), catalogue(BASIC[0], row, BASIC[2]))
    assert levels(verdict).get("throughput-known") == level
    if level:
        assert said in message(verdict, "throughput-known")


def test_hits_in_the_nodes_own_cache_are_throughput() -> None:
    """r = 0.75, h = 0.5, P = D = 10,000: 1/(0.375/10,000 + 0.25/10,000) = 16,000."""
    verdict = judged(document(TWO, workload={"cachedShare": "0.5", "prefixHitShare": "0.5"}))
    assert verdict.capacity.tokens_per_second_per_node == 16_000


@pytest.mark.parametrize(
    ("cloud", "ceiling", "level", "said"),
    [
        ("vastai", None, "BLOCK", "vastai/x has no maxUsdPerHour"),
        ("runpod", None, None, ""),
        ("runpod", 20, None, ""),
        ("runpod", "20.01", "BLOCK", "a maxUsdPerHour of $20.01 is more than 2 times the price of runpod/x, $10/h"),
        ("vastai", 15, None, ""),
    ],
)
def test_price_ceiling(cloud: str, ceiling: Any, level: str | None, said: str) -> None:
    """Needed where the cloud is a market, and at most twice the price; at 9e9 it pays at every one of them."""
    more = {} if ceiling is None else {"maxUsdPerHour": ceiling}
    nodes = {key: [candidate("x", f"r{key}", cloud, **more)] for key in "ab"}
    verdict = judged(document(nodes, "9e9"), catalogue(price(f"{cloud}/x", "10"), *BASIC[1:]))
    assert levels(verdict).get("price-ceiling") == level
    if level:
        assert said in message(verdict, "price-ceiling")


def test_a_fleet_that_would_not_pay_at_its_ceilings_is_warned_of() -> None:
    """2 × 19 × 730 + 4,100 = 31,840 against 30,000."""
    nodes = {key: [candidate("x", f"r{key}", maxUsdPerHour=19)] for key in "ab"}
    verdict = judged(document(nodes))
    assert levels(verdict)["price-ceiling"] == "WARN"
    assert "$31,840/month against $30,000" in message(verdict, "price-ceiling")


def test_a_ceiling_of_a_market_is_what_a_node_may_cost() -> None:
    """On Vast.ai the dearest reading has the ceiling, 2 × 15 × 730 + 4,100 = 26,000; a baseline holds the price."""
    nodes = {key: [candidate("x", f"r{key}", "vastai", maxUsdPerHour=15)] for key in "ab"}
    verdict = judged(document(nodes), catalogue(price("vastai/x", "10"), *BASIC[1:]))
    assert [reading.name for reading in verdict.readings] == ["first", "dearest"]
    assert verdict.self_hosted_usd_per_month == 26_000
    assert (verdict.dearest_usd_per_month, verdict.billed_usd_per_month) == exactly(18_700, 26_000)


def test_a_price_of_another_region_is_warned_of() -> None:
    verdict = judged(document(TWO), catalogue(price("runpod/x", "10", region="r1"), *BASIC[1:]))
    assert levels(verdict)["price-known"] == "WARN"
    assert "is that of r1: it may be another in r2" in message(verdict, "price-known")


# --- budget ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "spend", "level"),
    [
        (18_700, None, "WARN"),
        (18_699, None, "BLOCK"),
        (20_778, None, None),
        (20_777, None, "WARN"),
        (23_700, 5_000, "WARN"),
        (23_699, 5_000, "BLOCK"),
    ],
)
def test_the_gateways_budget_counts(budget: int, spend: int | None, level: str | None) -> None:
    """Audit 21: 18,700, over 90 % of the budget warns; what the gateway may spend is added, and is the worst case."""
    gateway = GatewaySpend(managed_budget_usd_per_month=spend)
    verdict = judged(document(TWO, constraints={"budgetUsdPerMonth": budget}), gateway=gateway)
    assert levels(verdict).get("budget") == level
    assert verdict.worst_case_usd_per_month == 18_700 + (spend or 0)
    assert verdict.self_hosted_usd_per_month == 18_700


def test_a_fallback_that_bills_without_a_limit_is_warned_of() -> None:
    verdict = judged(document(TWO), gateway=GatewaySpend(paid_fallback=True))
    assert "set gateway.managedBudgetUsdPerMonth" in message(verdict, "budget")
    capped = GatewaySpend(paid_fallback=True, managed_budget_usd_per_month=100)
    assert "budget" not in levels(judged(document(TWO), gateway=capped))


# --- what bends ------------------------------------------------------------------------------------------------------

BASELINE = {"nodes": 2, "usdPerMonth": 18_700, "approvedBy": "a. person", "date": "2026-11-01"}


def worst_of_all() -> tuple[Any, Catalogue]:
    """Loses this month and over the horizon, has no source, is cheaper elsewhere and rests on an old price."""
    data = document(TWO, "1e9", workload={"kind": "asserted"})
    del data["managed"]["source"]
    rows = (price("runpod/x", "10", date=date(2026, 1, 1)), *BASIC[1:], ELSEWHERE)
    return data, catalogue(*rows)


REPAIRED = ("break-even", "horizon", "same-weights", "probability", "managed-known", "price-fresh")


def test_repair_is_never_blocked_for_money() -> None:
    """Within the baseline each of these BLOCKs is a WARN; one dollar less approved, and they are BLOCKs."""
    data, known = worst_of_all()
    assert {levels(judged(data, known))[code] for code in REPAIRED} == {"BLOCK"}
    assert {levels(judged(data, known, baseline=BASELINE))[code] for code in REPAIRED} == {"WARN"}
    grown = judged(data, known, baseline={**BASELINE, "usdPerMonth": 18_699})
    assert {levels(grown)[code] for code in REPAIRED} == {"BLOCK"}


def test_a_repair_needs_no_throughput() -> None:
    """The machine has no row: within the baseline a warning, beyond it a block."""
    known = catalogue(BASIC[0], BASIC[2])
    assert levels(judged(document(TWO), known))["throughput-known"] == "BLOCK"
    assert levels(judged(document(TWO), known, baseline=BASELINE))["throughput-known"] == "WARN"
    assert not judged(document(TWO), known, baseline=BASELINE).blocked


def test_what_the_gateway_may_spend_is_growth_too() -> None:
    data, known = worst_of_all()
    spend = GatewaySpend(managed_budget_usd_per_month=1)
    assert judged(data, known, baseline=BASELINE, gateway=spend).blocked


def test_where_nothing_bills_old_and_missing_data_only_warn() -> None:
    """price-fresh, managed-known, same-weights; what does not pay is blocked all the same."""
    data, known = worst_of_all()
    found = levels(judge(Proposal(proposed(data).scenario, bills_money=False), known, DAY))
    assert {found[code] for code in ("price-fresh", "managed-known", "same-weights")} == {"WARN"}
    assert {found[code] for code in ("break-even", "horizon")} == {"BLOCK"}
