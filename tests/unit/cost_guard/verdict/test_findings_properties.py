"""What holds of every verdict, whatever its ladders, terms and months: worse is never better, and no currency counts.

Of one reading it is shown in `arithmetic/` (`test_reading.py`, `test_tco.py`, `test_draws.py`), of a change that
only makes figures kinder in `crossover/review/test_scales.py`. Here it is asked across the readings and through the
rules, of all rungs together or of nodes with one rung each: which rung of a ladder is the dearest or the slowest may
change with one of them, and the readings are then other fleets.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.codes import Level
from cost_guard.scenario.proposal import Proposal, parse_baseline, parse_proposals
from cost_guard.verdict.judge import judge_stack
from cost_guard.verdict.verdict import Verdict
from tests.support.catalogue import DAY, MODEL, api, candidate, catalogue, document, price, served

MONEY = ("break-even", "horizon", "same-weights", "probability", "budget", "price-ceiling")
"""Codes that weigh money."""
MACHINES = ("8x-a100-sxm-80gb", "8x-h100-sxm-80gb")


@dataclass(frozen=True)
class SkuTerms:
    """What may be rented. USD per hour and up front."""

    cloud: str
    usd_per_hour: Decimal
    machine: str
    terms: Mapping[str, Any] = field(default_factory=dict)
    upfront_usd: Decimal = Decimal(0)


@dataclass(frozen=True)
class Asked:
    """A document, and a catalogue of its own."""

    data: dict[str, Any]
    skus: Mapping[str, SkuTerms]
    rates: Mapping[str, Decimal]
    """Tokens per second by machine."""
    same_weights: Decimal
    baseline: dict[str, Any] | None = None

    def verdict(self) -> Verdict:
        proposals = parse_proposals(self.data, Path())
        if self.baseline is not None:
            approved = parse_baseline(self.baseline)
            proposals = {name: replace(one, baseline=approved) for name, one in proposals.items()}
        return judged(proposals, self)

    def dearer(self, factor: Decimal, *names: str) -> Asked:
        """Nodes of these SKUs, or of all; a ceiling goes with its price."""
        moved = {
            name: replace(one, usd_per_hour=one.usd_per_hour * factor, upfront_usd=one.upfront_usd * factor)
            if name in (names or self.skus)
            else one
            for name, one in self.skus.items()
        }
        data = copy.deepcopy(self.data)
        for rung in rungs(data):
            if "maxUsdPerHour" in rung and rung["sku"] in (names or self.skus):
                rung["maxUsdPerHour"] *= factor
        return replace(self, skus=moved, data=data)

    def slower(self, factor: Decimal, *machines: str) -> Asked:
        """The model on these machines, or on all."""
        rates = {name: rate * factor if name in (machines or self.rates) else rate for name, rate in self.rates.items()}
        return replace(self, rates=rates)

    def cheaper(self, factor: Decimal) -> Asked:
        """The managed API."""
        data = copy.deepcopy(self.data)
        data["managed"]["usdPerMillionTokens"] *= factor
        return replace(self, data=data)

    def in_currency(self, factor: Decimal) -> Asked:
        """Every amount times a factor."""
        other = self.dearer(factor).cheaper(factor)
        for section in ("overhead", "horizon", "constraints"):
            for key in other.data[section]:
                if "usd" in key.lower():
                    other.data[section][key] *= factor
        approved = self.baseline and {**self.baseline, "usdPerMonth": self.baseline["usdPerMonth"] * factor}
        return replace(other, same_weights=self.same_weights * factor, baseline=approved)


def rungs(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [rung for node in data["fleet"]["nodes"].values() for rung in node["candidates"]]


def judged(proposals: Mapping[str, Proposal], asked: Asked) -> Verdict:
    """`api` is what managed.usdPerMillionTokens is the price of."""
    prices = [
        price(
            f"{one.cloud}/{name}", str(one.usd_per_hour), machine=one.machine, **one.terms, upfrontUsd=one.upfront_usd
        )
        for name, one in asked.skus.items()
    ]
    serves = [served(str(rate), machine=machine) for machine, rate in asked.rates.items()]
    apis = [api("api", "5"), api("host/llama", str(asked.same_weights), MODEL)]
    return judge_stack(proposals, catalogue(*prices, *serves, *apis), DAY)


def ranks(verdict: Verdict) -> dict[str, int]:
    """By each code that weighs money; what is not said is PASS."""
    said = {reason.code: reason.level.rank for reason in verdict.reasons}
    return {code: said.get(code, Level.PASS.rank) for code in MONEY}


def never_better(worse: Verdict, than: Verdict) -> None:
    found, before = ranks(worse), ranks(than)
    assert all(found[code] >= before[code] for code in MONEY), (found, before)
    assert worse.blocked or not than.blocked


def amounts(most: int, step: int = 1) -> st.SearchStrategy[Decimal]:
    return st.integers(0, most).map(lambda count: Decimal(count * step))


def share(least: str, most: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(least, most, places=2)


TERMS = st.sampled_from(
    [{}, {}, {"terms": "spot", "interruptionLoss": Decimal("0.2")}, {"terms": "reserved", "commitmentMonths": 5}]
)


@st.composite
def sku_terms(draw: st.DrawFn) -> SkuTerms:
    terms = draw(TERMS)
    return SkuTerms(
        cloud=draw(st.sampled_from(["runpod", "lambda", "vastai"])),
        usd_per_hour=Decimal(draw(st.integers(5, 40))),
        machine=draw(st.sampled_from(MACHINES)),
        terms=terms,
        upfront_usd=draw(amounts(9, 1000)) if "commitmentMonths" in terms else Decimal(0),
    )


SECTIONS = st.fixed_dictionaries(
    {
        "overhead": st.fixed_dictionaries(
            {
                "engineerUsdPerMonth": amounts(40, 100),
                "monitoringUsdPerMonth": st.just(Decimal(200)),
                "storageNetworkUsdPerMonth": st.just(Decimal(400)),
                "usdPerNodeMonth": amounts(3, 100),
            }
        ),
        "horizon": st.fixed_dictionaries(
            {
                "months": st.integers(1, 14),
                "upfrontUsd": amounts(20, 5000),
                "residualUsd": amounts(5, 5000),
                "apiPriceDeclinePerYear": share("-0.2", "0.6"),
                "discountRatePerYear": share("0", "0.3"),
            }
        ),
        "uncertainty": st.just({"draws": 40, "nodePrice": Decimal("0.1")}),
        "constraints": st.one_of(
            st.just({}), st.fixed_dictionaries({"budgetUsdPerMonth": st.integers(10_000, 90_000).map(Decimal)})
        ),
    }
)


@st.composite
def asks(draw: st.DrawFn, *, rungs_each: int = 3, ceilings: bool = True, approved: bool = True) -> Asked:
    """Two or three nodes with ladders of up to so many rungs."""
    skus = {name: draw(sku_terms()) for name in ("x", "y", "z")}
    nodes = {}
    for key in "abc"[: draw(st.integers(2, 3))]:
        names = draw(st.lists(st.sampled_from(sorted(skus)), min_size=1, max_size=rungs_each, unique=True))
        nodes[key] = [candidate(name, f"r-{key}", skus[name].cloud) for name in names]
        for rung in nodes[key]:
            if ceilings and draw(st.booleans()):
                rung["maxUsdPerHour"] = skus[rung["sku"]].usd_per_hour * draw(share("0.9", "2.1"))
    work = {"growthPerMonth": draw(share("-0.1", "0.15")), "kind": "forecast"}
    volume = draw(st.integers(1, 60)) * 500_000_000
    sections: dict[str, Any] = draw(SECTIONS)
    data = document(nodes, str(volume), workload=work, **sections)
    data["managed"]["usdPerMillionTokens"] = draw(share("1", "9"))
    baseline = {"nodes": len(nodes), "usdPerMonth": draw(st.integers(15_000, 90_000).map(Decimal)),
                "approvedBy": "a. person", "date": "2026-08-01"}  # fmt: skip
    return Asked(
        data=data,
        skus=skus,
        rates={machine: Decimal(draw(st.integers(2, 30)) * 1000) for machine in MACHINES},
        same_weights=draw(share("0.5", "9")),
        baseline=baseline if approved and draw(st.booleans()) else None,
    )


@given(asked=asks(), by=st.integers(1, 200))
@settings(max_examples=14, deadline=None)
def test_worse_terms_never_better_a_code_that_weighs_money(asked: Asked, by: int) -> None:
    """Dearer nodes, a slower model, a lower managed price: no code is milder, and what was blocked stays so."""
    before, factor = asked.verdict(), 1 + Decimal(by) / 100
    less = round(1 / factor, 6)
    for worse in (asked.dearer(factor), asked.slower(less), asked.cheaper(less)):
        never_better(worse.verdict(), before)


@given(asked=asks(rungs_each=1, ceilings=False), by=st.integers(1, 200), machine=st.sampled_from(MACHINES))
@settings(max_examples=10, deadline=None)
def test_nor_does_one_dearer_or_slower_node_of_a_mixed_fleet(asked: Asked, by: int, machine: str) -> None:
    """Nodes of one rung each: one SKU is dearer, or the model is slower on one machine."""
    before, factor = asked.verdict(), 1 + Decimal(by) / 100
    for worse in (asked.dearer(factor, "x"), asked.slower(round(1 / factor, 6), machine)):
        never_better(worse.verdict(), before)


@given(asked=asks(), factor=st.sampled_from(["0.01", "0.5", "1.1", "7", "16"]).map(Decimal))
@settings(max_examples=12, deadline=None)
def test_the_currency_changes_no_level(asked: Asked, factor: Decimal) -> None:
    """All money times a factor: the same codes at the same levels, the same volumes, months, nodes and advice. What
    managed.model costs stays as it was, so `managed-known` is left out."""
    one, other = asked.verdict(), asked.in_currency(factor).verdict()

    def told(verdict: Verdict) -> Any:
        return {reason.code: reason.level for reason in verdict.reasons if reason.code != "managed-known"}

    assert told(other) == told(one)
    assert (other.break_even.first, other.break_even.stable) == (one.break_even.first, one.break_even.stable)
    assert (other.capacity, other.recommendation) == (one.capacity, one.recommendation)
    assert [each.month for each in other.tco.crossings] == [each.month for each in one.tco.crossings]
    assert other.tco.switch_month == one.tco.switch_month


@given(asked=asks(approved=False), name=st.sampled_from(["llama", "coder-2"]))
@settings(max_examples=8, deadline=None)
def test_one_model_in_a_map_is_the_single_form(asked: Asked, name: str) -> None:
    """Whatever it is called."""
    own = ("workload", "managed", "fleet")
    shared = {key: value for key, value in asked.data.items() if key not in own}
    mapped = replace(asked, data={"models": {name: {key: asked.data[key] for key in own}}, **shared})
    first, second = asked.verdict().to_json_dict(), mapped.verdict().to_json_dict()
    assert [one.pop("name") for one in first["models"]] == ["fleet"]
    assert [one.pop("name") for one in second["models"]] == [name]
    assert first == second


@given(asked=asks(approved=False))
@settings(max_examples=12, deadline=None)
def test_options_agree_with_the_horizon(asked: Asked) -> None:
    """Six, each with the sum that `tco` tells; the advice is the least of those that are allowed, of equals the
    earlier; waiting and leaving are never dearer than what they are set against."""
    verdict = asked.verdict()
    tco, options = verdict.tco, {option.id: option for option in verdict.options}
    assert tco.best_start is not None
    assert tco.best_end is not None
    managed, ours = options["managed"], options["self-hosted"]
    assert (managed.usd_per_month, managed.horizon_usd) == (verdict.managed_usd_per_month, tco.managed_usd)
    assert (ours.usd_per_month, ours.horizon_usd) == (verdict.self_hosted_usd_per_month, tco.self_hosted_usd)
    assert options["self-hosted-from"].horizon_usd == tco.best_start[1]
    assert options["self-hosted-until"].horizon_usd == tco.best_end[1]
    assert tco.best_start[1] <= min(tco.managed_usd or 0, tco.self_hosted_usd or 0)
    assert tco.best_end[1] <= (tco.self_hosted_usd or 0)
    assert [option.id for option in verdict.options] == list(options)
    open_ones = [option for option in verdict.options if option.allowed and option.horizon_usd is not None]
    least = min(open_ones, key=lambda option: option.horizon_usd or 0, default=None)
    assert verdict.recommendation == (least and least.id)


FLAT = {"upfrontUsd": Decimal(0), "residualUsd": Decimal(0), "apiPriceDeclinePerYear": Decimal(0)}


@given(asked=asks(approved=False), months=st.integers(1, 36), rate=share("0", "0.3"))
@settings(max_examples=10, deadline=None)
def test_where_nothing_changes_an_option_s_horizon_is_its_month_so_many_times(
    asked: Asked, months: int, rate: Decimal
) -> None:
    """usdPerMonth × Σ(1 + i)^(−t/12), for what is begun at once, kept to the end and committed to nothing."""
    data = copy.deepcopy(asked.data)
    data["horizon"] = {**FLAT, "months": months, "discountRatePerYear": rate}
    data["workload"]["growthPerMonth"] = Decimal(0)
    by_the_month = {name: replace(one, terms={}, upfront_usd=Decimal(0)) for name, one in asked.skus.items()}
    verdict = replace(asked, data=data, skus=by_the_month).verdict()
    worth = sum((1 + float(rate)) ** (-month / 12) for month in range(1, months + 1))
    for option in verdict.options:
        if option.id in ("managed", "same-weights", "self-hosted", "self-hosted-part"):
            assert abs(float(option.horizon_usd or 0) - float(option.usd_per_month or 0) * worth) < 0.01
