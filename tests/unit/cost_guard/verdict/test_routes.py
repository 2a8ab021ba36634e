"""Routes: the blended price of the catalogue's models, and what happens where a model, or its freshness, is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import Catalogue, ManagedRates
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.verdict.verdict import Verdict
from tests.support.gate import verdict_of

Plain = Callable[..., dict[str, Any]]
DAY = date(2026, 5, 31)


def model(name: str, given: str, output: str, cached: str | None = None, day: date = DAY) -> ManagedRates:
    row = {
        "key": name,
        "date": day,
        "source": f"{name}'s page",
        "inputUsdPerMillion": given,
        "outputUsdPerMillion": output,
    }
    return ManagedRates.model_validate(row | ({"cachedInputUsdPerMillion": cached} if cached else {}))


@pytest.fixture
def judged(plain: Plain, catalogue: Catalogue) -> Callable[..., Verdict]:
    """judged(routes, day_of_large, workload sections…) on two models: large 2.5/1.25/10 and small 0.2/0.8."""

    def build(routes: list[tuple[str, Any]], day: date = DAY, **workload: Any) -> Verdict:
        rows = [model("large", "2.5", "10", "1.25", day), model("small", "0.2", "0.8")]
        known = replace(catalogue, managed={row.key: row for row in rows})
        data = plain(workload={"kind": "measured", **workload})
        data["managed"] = {"routes": [{"model": name, "share": share} for name, share in routes]}
        return verdict_of(parse_scenario(data), known, DAY)

    return build


@pytest.mark.parametrize(
    ("input_share", "cached_share", "price"),
    [
        ("0.75", 0, "4.375"),  # 0.75·2.5 + 0.25·10
        ("0.75", "0.4", "4"),  # (0.75 − 0.3)·2.5 + 0.3·1.25 + 2.5
        (1, 1, "1.25"),
        (0, 1, "10"),
    ],
)
def test_one_model_is_priced_by_its_kinds_of_tokens(
    judged: Callable[..., Verdict], input_share: Any, cached_share: Any, price: str
) -> None:
    """p = (in − cached)·p_in + cached·p_cache + out·p_out, cached being a share of the input."""
    verdict = judged([("large", 1)], inputShare=input_share, cachedShare=cached_share)
    assert verdict.managed_usd_per_million == Decimal(price)


def test_without_a_discount_cached_input_costs_what_input_does(judged: Callable[..., Verdict]) -> None:
    """The small model has no cached price."""
    prices = {judged([("small", 1)], cachedShare=share).managed_usd_per_million for share in (0, "0.5", 1)}
    assert prices == {Decimal("0.35")}


def test_routes_are_blended_by_their_shares(judged: Callable[..., Verdict]) -> None:
    """0.15·4.375 + 0.85·0.35 = 0.95375; the managed spend and the break-even rest on it."""
    verdict = judged([("large", "0.15"), ("small", "0.85")])
    assert verdict.managed_usd_per_million == Decimal("0.95375")
    assert verdict.managed_usd_per_month == Decimal("5722.5")
    assert verdict.break_even.simple is not None
    assert float(verdict.break_even.simple) == pytest.approx(19940 / 0.95375e-6)


def test_what_went_in_is_cited(judged: Callable[..., Verdict]) -> None:
    """Each model's price with its rates, source and date; the blend as old as its oldest row."""
    old = DAY - timedelta(days=20)
    inputs = judged([("large", "0.15"), ("small", "0.85")], old).to_json_dict()["inputs"]
    assert inputs["usdPerMillionTokens"] == {
        "value": 0.95375, "source": "blended from managed.routes", "date": old.isoformat()
    }  # fmt: skip
    assert inputs["routes.large"] == {
        "value": 4.375,
        "source": "0.15 of the tokens at $2.5 input, $10 output per M, $1.25 cached input: large's page",
        "date": old.isoformat(),
    }
    assert inputs["routes.small"]["date"] == DAY.isoformat()
    assert (inputs["inputShare"]["value"], inputs["cachedShare"]["value"]) == (0.75, 0)


@pytest.mark.parametrize(("age", "level"), [(90, None), (91, "WARN"), (180, "WARN"), (181, "BLOCK"), (-1, "WARN")])
def test_a_managed_price_grows_old(judged: Callable[..., Verdict], age: int, level: str | None) -> None:
    """`price-fresh` looks at every route; the message names the model and the file."""
    verdict = judged([("large", "0.5"), ("small", "0.5")], DAY - timedelta(days=age))
    found = [reason for reason in verdict.reasons if reason.code == "price-fresh"]
    assert [str(reason.level) for reason in found] == ([level] if level else [])
    assert all("the price of large is " in reason.message and "small" not in reason.message for reason in found)
    assert all("data/managed.toml" in reason.message for reason in found if age > 0)


def test_an_unknown_model_is_a_price_that_is_not_known(judged: Callable[..., Verdict]) -> None:
    """The nearest names are offered; nothing is guessed, and the document has null where nothing can be said."""
    verdict = judged([("larg", "0.5"), ("zzz", "0.5")])
    (reason,) = [reason for reason in verdict.reasons if reason.code == "price-known"]
    assert reason.line() == (
        "BLOCK price-known: no price is known for the managed model larg; did you mean large? "
        "no price is known for the managed model zzz; known are large, small."
    )
    document = verdict.to_json_dict()
    assert (document["managedUsdPerMonth"], document["managedUsdPerMillion"]) == (None, None)
    assert document["breakEven"] == dict.fromkeys(document["breakEven"])
    assert {key: value for key, value in document["tco"].items() if value} == {"months": 24}
    assert document["inputs"]["usdPerMillionTokens"] == {"value": None, "source": "unknown", "date": None}
    assert (verdict.recommendation, verdict.exit_code()) == (None, 2)
    assert "is not known" in verdict.headline


def test_models_that_cost_nothing_give_no_break_even(judged: Callable[..., Verdict], catalogue: Catalogue) -> None:
    """A price of zero would be divided by."""
    data: dict[str, Any] = {"tokensPerMonth": "6e9", "inputShare": 1, "cachedShare": 1}
    scenario = parse_scenario(
        {
            "workload": data,
            "managed": {"routes": [{"model": "free", "share": 1}]},
            "fleet": {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
        }
    )
    free = ManagedRates.model_validate(
        {"key": "free", "date": DAY, "source": "s", "inputUsdPerMillion": 1, "cachedInputUsdPerMillion": 0,
         "outputUsdPerMillion": 1}
    )  # fmt: skip
    verdict = verdict_of(scenario, replace(catalogue, managed={"free": free}), DAY)
    assert "managed.routes cost nothing" in next(r.message for r in verdict.reasons if r.code == "price-known")
