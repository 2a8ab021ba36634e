"""Claims that the catalogue and the gate decide: prices of today, and whether two nodes carry what they must."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import DATA, load_catalogue
from cost_guard.catalogue.claims.check import Checked, check, load_claims
from cost_guard.catalogue.claims.claim import Carried, Claim
from cost_guard.catalogue.claims.derived import carried
from cost_guard.scenario.proposal import parse_proposal
from cost_guard.verdict.judge import judge

UTILISATION, PEAK, SPARE = Fraction(7, 10), Fraction(13, 10), 1
"""What a scenario has where it says nothing."""
SECONDS = 730 * 3600


@pytest.fixture(scope="module")
def claims() -> dict[str, Checked]:
    """By id."""
    return {one.claim.id: one for one in load_claims()}


def capacity(nodes: int, tokens_per_second: Fraction, peak: Fraction = PEAK) -> Fraction:
    """Tokens a month of nodes alike, of which one may be lost."""
    return (nodes - SPARE) * tokens_per_second * UTILISATION * SECONDS / peak


def needed(volume: Fraction, tokens_per_second: Fraction) -> int:
    """By trying: never fewer than the two that there are."""
    return next(nodes for nodes in count(2) if capacity(nodes, tokens_per_second) >= volume)


def gate(volume: float, price: float, peak: float = 1.3) -> Any:
    """The verdict's JSON on the sources' two nodes at $7,920 and 4,759 tokens/s."""
    fleet = {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759}
    workload = {"tokensPerMonth": volume, "peakToMean": peak}
    scenario = {"workload": workload, "managed": {"usdPerMillionTokens": price}, "fleet": fleet}
    return judge(parse_proposal(scenario, None), load_catalogue(), date(2026, 11, 29)).to_json_dict()


# --- What nodes must carry -------------------------------------------------------------------------------------------

CARRIED = {
    "break-even-routed": 24.9e9, "break-even-gpt4o": 3.99e9, "break-even-a1": 25e9, "break-even-a1-low": 23.75e9,
    "break-even-a1-high": 27.5e9, "tldr": 5e9, "tier-gpt4o-low": 5e9, "tier-gpt4o-high": 15e9, "tier-70b-low": 0.5e9,
    "tier-70b-high": 2e9, "tier-8b-low": 2e9, "tier-8b-high": 8e9, "rule-5b": 5e9,
}  # fmt: skip
"""The volumes at which a source says that self-hosting breaks even, or is right; in both it is two nodes."""
NOT_CARRIED = {
    "tldr-routed": "the volume of break-even-routed, which has its row",
    "break-even-displaced": "the product's volume, of which nodes carry that of break-even-routed",
    "rule-20k": "a spend below which nothing is hosted", "rule-80k": "a spend, of any number of nodes",
    "tldr-table-low": "the volume of tier-70b-low", "tldr-table-high": "the volume of tier-gpt4o-high",
    "mid-size-product": "the product's volume, all of it managed", "steady": "it reckons with capacity",
    "bursty": "it reckons with capacity",
}  # fmt: skip


def test_every_volume_that_two_nodes_must_carry_asks_whether_they_can(claims: dict[str, Checked]) -> None:
    """Each claim in tokens a month has its second row, in the order of the claims, or a reason to have none."""
    volumes = {name for name, one in claims.items() if one.claim.unit == "tokens/month"}
    assert volumes - set(CARRIED) == set(NOT_CARRIED)
    assert [one.carries for one in claims.values() if one.carries] == [name for name in claims if name in CARRIED]
    assert {one.carries: float(one.claim.inputs["volume"]) for one in claims.values() if one.carries} == CARRIED


@pytest.mark.parametrize("name", CARRIED)
def test_the_second_row_says_how_many_nodes_it_takes(claims: dict[str, Checked], name: str) -> None:
    """Two, or it contradicts. An 8B model is 15 times as fast as a 70B."""
    rate = Fraction(73_360 if "8b" in name else 4759)
    nodes = needed(Fraction(CARRIED[name]), rate)
    row = claims[f"{name}-carried"]
    assert row.computed == nodes
    assert row.status == ("reproduces" if nodes == 2 else "contradicts")
    assert row.claim.source == claims[name].claim.source


@pytest.mark.parametrize("name", CARRIED)
def test_the_second_row_does_not_hang_on_that_throughput(claims: dict[str, Checked], name: str) -> None:
    """NVIDIA's published shapes of a 70B on such a node give 6,704 tokens/s: the same answer."""
    row = carried(claims[name].claim, Carried(nodes=Decimal(2), tokens_per_second=Decimal(6704)))
    if "8b" not in name:
        assert check(row).status == claims[f"{name}-carried"].status


def test_the_second_row_is_what_the_gate_says(claims: dict[str, Checked]) -> None:
    """Nodes needed, for a scenario that gives its tokens per second."""
    for name in ("break-even-routed", "break-even-gpt4o", "tier-gpt4o-high"):
        said = gate(CARRIED[name], 5)["capacity"]["nodesNeeded"]
        assert claims[f"{name}-carried"].computed == said


def test_a_second_row_says_what_it_would_need(claims: dict[str, Checked]) -> None:
    """A node alone would have to carry 24.9B."""
    per_second = -(-Fraction(24_900_000_000) * PEAK // (UTILISATION * SECONDS))
    assert (
        claims["break-even-routed-carried"].reproduces_if
        == f"would need tokens_per_second = {per_second:,} tokens/s a node"
    )


def test_24_9_billion_at_80_cents_is_no_break_even(claims: dict[str, Checked]) -> None:
    """99.6 % busy, 199 % when one is lost, $1.18 a million more: the gate finds no volume that pays."""
    figures = [claims[f"break-even-routed-{what}"].computed for what in ("busy", "one-lost", "marginal")]
    assert [round(figure, 2) for figure in figures if figure] == [Decimal("99.65"), Decimal("199.29"), Decimal("1.18")]
    said = gate(24.925e9, 0.80)
    assert (said["verdict"], said["breakEven"]["first"], said["breakEven"]["stable"]) == ("BLOCK", None, None)
    assert float(figures[0] or 0) == pytest.approx(said["capacity"]["utilisation"] * 100)


@pytest.mark.parametrize(("name", "peak"), [("steady", Fraction(13, 10)), ("bursty", Fraction(5))])
def test_where_a_load_pays_for_good(claims: dict[str, Checked], name: str, peak: Fraction) -> None:
    """By walking the staircase to 1,000 nodes: the last step whose beginning loses ends where its cost is met."""
    price, stable = Fraction(5, 10**6), Fraction(0)
    for nodes in range(2, 1000):
        cost, begin = nodes * 7920 + 4100, capacity(nodes - 1, Fraction(4759), peak) if nodes > 2 else Fraction(0)
        if cost > begin * price:
            stable = cost / price
    assert claims[name].computed == Decimal(stable.numerator) / stable.denominator
    assert gate(6e9, 5, float(peak))["breakEven"]["stable"] == pytest.approx(float(stable))


def test_fractions_of_a_cent_need_no_full_nodes(claims: dict[str, Checked]) -> None:
    """A cent for 1,000 tokens is 1.994B a month, 8 % of what two nodes can; 500M are 4 cents."""
    volume = Fraction(19940) / Fraction("0.01") * 1000
    busy = volume / (2 * 4759 * SECONDS)
    assert (float(volume), round(float(busy), 2), round(19940 / 500e6 * 1000, 2)) == (1.994e9, 0.08, 0.04)
    assert "1.994B tokens a month, 8 %" in str(claims["self-hosted-per-1000"].reproduces_if)


def test_a_range_is_carried_at_its_upper_end() -> None:
    """Unless the claim says at which volume."""
    claim = Claim(id="x", source="s", claim="c", unit="u", expected=(Decimal(1), Decimal(7 * 10**9)))
    assert carried(claim, Carried(nodes=Decimal(2))).inputs["volume"] == 7 * 10**9
    assert carried(claim, Carried(nodes=Decimal(2), volume=Decimal(5))).inputs["volume"] == 5


# --- Prices of the catalogue -----------------------------------------------------------------------------------------


def table(file: str) -> dict[str, dict[str, Any]]:
    """A data file of the catalogue, as it is written."""
    return tomllib.loads((DATA / file).read_text("utf-8"), parse_float=Fraction)


@pytest.mark.parametrize(
    ("name", "sku", "low", "high"),
    [
        ("live-lambda", "lambda/gpu_8x_a100_80gb_sxm4", 7920, 7920),
        ("live-aws", "aws/p4d.24xlarge", 9800, 9800),
        ("live-runpod", "runpod/8x-a100-sxm-80gb-secure", 5600, 5600),
        ("live-vast", "vastai/8x-a100-sxm4-80gb", 3200, 5500),
    ],
)
def test_a_nodes_price_is_set_against_the_catalogue(
    claims: dict[str, Checked], name: str, sku: str, low: int, high: int
) -> None:
    """The row's hourly price × 730, and 5 % are forgiven."""
    row = table("prices.toml")[sku]
    month = row["usdPerHour"] * 730
    one = claims[name]
    assert Fraction(str(one.computed)) == month
    assert one.status == (
        "reproduces" if low * Fraction(95, 100) <= month <= high * Fraction(105, 100) else "contradicts"
    )
    assert one.catalogue_row == f"{sku}, {row['date']}"
    if one.status == "contradicts":
        assert str(one.reproduces_if).startswith("would need usd_per_hour = ")


LLAMA_70B, LLAMA_8B = r"3[.p-]3-70b", r"3[.p-]1-8b"


@pytest.mark.parametrize(
    ("name", "like", "dearest", "low", "high"),
    [
        ("api-gpt4o", r"^gpt-4o$", False, "5", "5"),
        ("api-gpt4o-class", r"^gpt-4o$", False, "5", "15"),
        ("api-opus", r"^claude-opus-4-8$", False, "5", "15"),
        ("api-70b-cheapest", LLAMA_70B, False, "0.59", "1"),
        ("api-70b-dearest", LLAMA_70B, True, "0.59", "1"),
        ("api-8b-cheapest", LLAMA_8B, False, "0.05", "0.18"),
        ("api-8b-dearest", LLAMA_8B, True, "0.05", "0.18"),
    ],
)
def test_an_apis_price_is_set_against_the_catalogue(
    claims: dict[str, Checked], name: str, like: str, dearest: bool, low: str, high: str
) -> None:
    """Three tokens of input to one of output; the cheapest or dearest of all rows of that model, 5 % forgiven."""
    prices = sorted(
        (Fraction(3 * row["inputUsdPerMillion"] + row["outputUsdPerMillion"], 4), key)
        for key, row in table("managed.toml").items()
        if re.search(like, key, re.IGNORECASE)
    )
    price = prices[-1 if dearest else 0][0]
    one = claims[name]
    assert Fraction(str(one.computed)) == price
    holds = Fraction(low) * Fraction(95, 100) <= price <= Fraction(high) * Fraction(105, 100)
    assert one.status == ("reproduces" if holds else "contradicts")
    assert str(one.catalogue_row).partition(",")[0] in {key for that, key in prices if that == price}


def test_other_prices_make_other_claims() -> None:
    """The rows follow the catalogue: at $10.85 an hour, Lambda's node is what the articles say."""
    known = load_catalogue()
    key = "lambda/gpu_8x_a100_80gb_sxm4"
    cheaper = known.prices[key].model_copy(update={"usd_per_hour": Decimal("10.85")})
    other = replace(known, prices={**known.prices, key: cheaper})
    found = {one.claim.id: one for one in load_claims(catalogue=other)}
    assert (found["live-lambda"].computed, found["live-lambda"].status) == (Decimal("7920.50"), "reproduces")
