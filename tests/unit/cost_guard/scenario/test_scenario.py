"""What the schema takes, what it refuses, and in which words."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cost_guard.scenario.fleet import LadderFleet, QuotationFleet, SkuFleet
from cost_guard.scenario.proposal import parse_baseline, parse_scenario
from cost_guard.scenario.scenario import ScenarioError

Plain = Callable[..., dict[str, Any]]
Rung = Callable[..., dict[str, Any]]


def lines(data: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(data)
    return caught.value.lines


def test_defaults_are_those_of_the_schema(plain: Plain) -> None:
    """Everything but the three required sections has its documented default."""
    data = plain()
    del data["workload"]["peakToMean"]
    scenario = parse_scenario(data)
    assert (scenario.workload.kind, scenario.workload.peak_to_mean) == ("asserted", Decimal("1.3"))
    assert (scenario.fleet.target_utilisation, scenario.fleet.spare_nodes) == (Decimal("0.7"), 1)
    assert scenario.fleet.max_per_failure_domain == 1
    told = scenario.overhead
    assert told.engineer_usd_per_month == 3500
    assert told.monitoring_usd_per_month == told.storage_network_usd_per_month / 2 == 200
    assert (scenario.horizon.months, scenario.uncertainty.draws, scenario.uncertainty.seed) == (None, 10000, 7)
    assert (scenario.uncertainty.throughput, scenario.uncertainty.node_price) == (None, None)
    assert (scenario.uncertainty.volume, scenario.uncertainty.outlook) == (Decimal("0.25"), Decimal("0.15"))
    assert scenario.overhead.usd_per_node_month == scenario.horizon.residual_usd == 0
    assert scenario.workload.prefix_hit_share is None
    assert scenario.managed.displaced_share == 1
    assert scenario.constraints.ml_team
    assert scenario.constraints.budget_usd_per_month is None


@pytest.mark.parametrize("volume", ["6e9", "6.0e9", 6e9, 6_000_000_000, "6000000000", Decimal("6e9")])
def test_numeric_strings_and_floats_are_numbers(plain: Plain, volume: Any) -> None:
    """`pulumi config set` stores "6e9", PyYAML reads 6.0e9 as a string, policies get floats."""
    assert parse_scenario(plain(volume)).workload.tokens_per_month == 6_000_000_000


def test_floats_are_taken_at_their_shortest_decimal(plain: Plain) -> None:
    """0.7 is seven tenths, not 0.69999999999999995559."""
    assert parse_scenario(plain(fleet={"targetUtilisation": 0.7})).fleet.target_utilisation == Decimal("0.7")


@pytest.mark.parametrize(
    "volume",
    [0, -1, "0", "-6e9", math.nan, "nan", "NaN", math.inf, "-inf", 1e30, "1e30", "1e999999999", 10**400, "1e-999999",
     "six", "", None, True, [], {}],
)  # fmt: skip
def test_impossible_volumes_are_refused(plain: Plain, volume: Any) -> None:
    """The message names the key, shows the value's fault and says what to write."""
    (line,) = lines(plain(volume))
    assert line.startswith("crossover:workload.tokensPerMonth: ")
    assert "e.g. 6e9" in line


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("workload", "peakToMean", 0.5),
        ("workload", "inputShare", 1.2),
        ("workload", "prefixHitShare", 1.1),
        ("overhead", "usdPerNodeMonth", -1),
        ("horizon", "residualUsd", -1),
        ("uncertainty", "outlook", -1),
        ("uncertainty", "nodePrice", 6),
        ("workload", "growthPerMonth", -1),
        ("workload", "kind", "guessed"),
        ("managed", "usdPerMillionTokens", 0),
        ("managed", "usdPerMillionTokens", "nan"),
        ("fleet", "nodes", 0),
        ("fleet", "nodes", 2.5),
        ("fleet", "usdPerNodeMonth", -1),
        ("fleet", "tokensPerSecond", 0),
        ("fleet", "targetUtilisation", 1.1),
        ("fleet", "maxPerFailureDomain", 0),
        ("overhead", "understatedBy", 1),
        ("horizon", "months", 0),
        ("horizon", "months", 1.5),
        ("horizon", "upfrontUsd", -1),
        ("horizon", "apiPriceDeclinePerYear", 1),
        ("horizon", "discountRatePerYear", -0.9),
        ("workload", "growthPerMonth", 15),
        ("workload", "cachedShare", 75),
        ("uncertainty", "draws", 10_000_001),
        ("uncertainty", "seed", -1),
        ("uncertainty", "throughput", 15),
        ("uncertainty", "apiPrice", "inf"),
        ("uncertainty", "overhead", "nan"),
        ("horizon", "upfrontUsd", "inf"),
        ("uncertainty", "draws", 0),
        ("uncertainty", "volume", -0.1),
        ("constraints", "residency", "maybe"),
        ("constraints", "budgetUsdPerMonth", 0),
    ],
)
def test_values_out_of_bounds_are_refused_by_key(plain: Plain, section: str, key: str, value: Any) -> None:
    """Each section holds its bounds, and says which key broke one and with what value."""
    data = plain()
    data.setdefault(section, {})[key] = value
    (line,) = lines(data)
    assert line.startswith(f"crossover:{section}.{key}: must be ")
    assert str(value) in line


@pytest.mark.parametrize(
    ("section", "typo", "meant"),
    [
        ("workload", "tokenPerMonth", "tokensPerMonth"),
        ("workload", "peak_to_mean", "peakToMean"),
        ("managed", "usdPerMilionTokens", "usdPerMillionTokens"),
        ("fleet", "usdPerNodeMonht", "usdPerNodeMonth"),
        ("fleet", "spareNode", "spareNodes"),
        ("overhead", "engineerUsdPerMonht", "engineerUsdPerMonth"),
        ("horizon", "month", "months"),
        ("uncertainty", "sed", "seed"),
        ("constraints", "mlteam", "mlTeam"),
    ],
)
def test_a_typo_is_refused_with_the_key_that_was_meant(plain: Plain, section: str, typo: str, meant: str) -> None:
    """In every section; a required key that is missing because of it is not complained of a second time."""
    data = plain()
    part = data.setdefault(section, {})
    part[typo] = part.pop(meant, 1)
    assert lines(data) == [f"crossover:{section}.{typo}: unknown key (did you mean {meant}?)"]


def test_a_typo_in_a_section_or_a_rung_is_refused(plain: Plain, rung: Rung) -> None:
    """At the top, in a node and in a candidate alike; the path is the one the user wrote."""
    data = {**plain(), "constraint": {}}
    assert lines(data) == ["crossover:constraint: unknown key (did you mean constraints?)"]
    data = {**plain(), "fleet": {"nodes": {"a": {"candidates": [{**rung(), "regoin": "x"}], "candidate": []}}}}
    assert lines(data) == [
        "crossover:fleet.nodes.a.candidates[0].regoin: unknown key (did you mean region?)",
        "crossover:fleet.nodes.a.candidate: unknown key (did you mean candidates?)",
    ]


def test_an_unknown_key_that_resembles_none_lists_the_known(plain: Plain) -> None:
    """Its value is not shown: a secret may have been put there by mistake."""
    (line,) = lines({**plain(), "zzz": "hunter2"})
    assert line == (
        "crossover:zzz: unknown key; known are workload, managed, fleet, overhead, horizon, uncertainty, constraints"
    )


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_what_is_no_map_is_refused(data: Any) -> None:
    """An empty file is one line, not a traceback."""
    assert lines(data)[0].startswith("crossover: expected a map of keys, got ")


def test_missing_sections_are_named() -> None:
    """All of them at once."""
    assert [line.split(":")[1] for line in lines({})] == ["workload", "managed", "fleet"]
    assert lines({"workload": None, "managed": {}, "fleet": 3}) == [
        "crossover:workload: expected a map of keys, got null",
        "crossover:managed: give exactly one of usdPerMillionTokens, the blended price, and routes, models with shares",
        "crossover:fleet: expected a map of keys, got 3",
    ]


def test_the_three_forms_are_told_apart(plain: Plain, rung: Rung) -> None:
    """By their keys."""
    assert isinstance(parse_scenario(plain()).fleet, QuotationFleet)
    served = plain(workload={"model": "org/model"})
    by_sku = {**served, "fleet": {"nodes": 2, "sku": "lambda/gpu_8x_a100"}}
    assert isinstance(parse_scenario(by_sku).fleet, SkuFleet)
    nodes = {key: {"candidates": [rung()]} for key in "ab"}
    by_ladder = parse_scenario({**served, "fleet": {"nodes": nodes}}).fleet
    assert isinstance(by_ladder, LadderFleet)
    assert by_ladder.node_count == 2


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        ({"nodes": 2, "sku": "x", "usdPerNodeMonth": 1}, "mixes form 1"),
        ({"nodes": {"a": {"candidates": []}}, "sku": "x"}, "mixes form 2"),
        ({"nodes": 2}, "use exactly one of form 1"),
        ({}, "use exactly one of form 1"),
    ],
)
def test_mixed_and_priceless_forms_are_refused(plain: Plain, fleet: dict[str, Any], said: str) -> None:
    """The message names the forms."""
    (line,) = lines({**plain(), "fleet": fleet})
    assert line.startswith("crossover:fleet: ")
    assert said in line


def test_a_form_misspelt_is_recognised(plain: Plain) -> None:
    """`skuu` means form 2."""
    assert lines({**plain(), "fleet": {"nodes": 2, "skuu": "x"}}) == [
        "crossover:fleet.skuu: unknown key (did you mean sku?)"
    ]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({"A": {"candidates": [{}]}}, "the node key 'A' must be lower-case"),
        ({1: {"candidates": [{}]}}, "the node key 1 must be lower-case"),
        ({"a-": {"candidates": [{}]}}, "the node key 'a-' must be lower-case"),
        ({}, "must not be empty"),
        ({"a": {"candidates": []}, "b": {"candidates": []}}, "must not be empty"),
        ({"a": {"candidates": {}}, "b": {"candidates": "x"}}, "expected a list"),
    ],
)
def test_broken_ladders_are_refused(plain: Plain, nodes: dict[Any, Any], said: str) -> None:
    """Keys become DNS names; a node without a rung cannot be rented."""
    assert said in lines({**plain(), "fleet": {"nodes": nodes}})[0]


@pytest.mark.parametrize(("nodes", "spare"), [(2, 2), (2, 5), (1, 1)])
def test_spare_nodes_must_be_fewer_than_nodes(plain: Plain, nodes: int, spare: int) -> None:
    """spareNodes ≥ nodes leaves none to serve."""
    (line,) = lines(plain(fleet={"nodes": nodes, "spareNodes": spare}))
    assert f"spareNodes must be less than the number of nodes, got {spare} spare of {nodes}" in line


def test_one_node_is_left_to_the_rule_of_redundancy(plain: Plain) -> None:
    """The default spare of one would make it a schema error that names a key nobody wrote."""
    assert parse_scenario(plain(fleet={"nodes": 1})).fleet.spare_nodes == 0


@pytest.mark.parametrize(
    ("managed", "said"),
    [
        ({"routes": [{"model": "a", "share": 1}], "usdPerMillionTokens": 5}, "managed: give exactly one of "),
        ({}, "managed: give exactly one of "),
        ({"routes": []}, "managed.routes: must not be empty"),
        ({"routes": "gpt-4o"}, "managed.routes: expected a list, got 'gpt-4o'"),
        ({"routes": [{"model": "a", "share": "0.9"}, {"model": "b", "share": 0.05}]},
         "managed.routes: the shares must sum to 1, they sum to 0.95: 0.05 short"),
        ({"routes": [{"model": "a", "share": "0.9"}, {"model": "b", "share": 0.3}]},
         "managed.routes: the shares must sum to 1, they sum to 1.2: 0.2 too much"),
        ({"routes": [{"model": "a", "share": 0.5}, {"model": "a", "share": 0.5}]},
         "managed.routes: 'a' stands twice as displaced; give each model one share of each kind"),
        ({"routes": [{"model": "a", "share": 1, "displaced": False}]}, "managed.routes: nothing is displaced; say "),
        ({"routes": [{"model": "a", "share": 0}, {"model": "b", "share": 1, "displaced": False}]},
         "managed.routes: nothing is displaced; say "),
        ({"routes": [{"model": "a", "share": 1, "discount": 1}]}, "managed.routes[0].discount: must be less than 1"),
        ({"routes": [{"model": "a", "share": 1, "batchShare": 2}]}, "managed.routes[0].batchShare: must be at most 1"),
        ({"routes": [{"model": "a", "share": 1}], "source": "x"}, "managed.source: is said of usdPerMillionTokens; a "),
        ({"usdPerMillionTokens": 5, "notSameWeights": {"reason": "x", "approvedBy": "y"}},
         "managed.notSameWeights.date: missing"),
        ({"routes": [{"model": "a", "share": "nan"}]}, "managed.routes[0].share: must be a finite number, got 'nan'"),
        ({"routes": [{"model": "a", "share": 100}]}, "managed.routes[0].share: must be at most 1, got 100"),
        ({"routes": [{"model": "", "share": 1}]}, "managed.routes[0].model: must be a name"),
        ({"routes": [{"modle": "a", "share": 1}]}, "managed.routes[0].modle: unknown key (did you mean model?)"),
        ({"usdPerMillionTokens": 0.000005}, "managed.usdPerMillionTokens: must be at least 0.0001, got 5e-06; the "),
    ],
)  # fmt: skip
def test_a_broken_managed_price_is_refused(plain: Plain, managed: dict[str, Any], said: str) -> None:
    """One line with the key; shares say how far off they are, a price of one token is noticed by its size."""
    (line,) = lines({**plain(), "managed": managed})
    assert line.startswith(f"crossover:{said}")


def test_tenths_sum_to_one(plain: Plain) -> None:
    """Shares are added as decimals: 0.1 + 0.2 + 0.7 is no 0.9999999999999999."""
    routes = [{"model": name, "share": share} for name, share in (("a", 0.1), ("b", 0.2), ("c", 0.7))]
    scenario = parse_scenario({**plain(), "managed": {"routes": routes}})
    assert parse_scenario(scenario.to_inputs()) == scenario


def test_a_model_may_stand_once_displaced_and_once_not(plain: Plain) -> None:
    """δ is the share of what is displaced, and V that part of all tokens."""
    routes = [
        {"model": "a", "share": "0.3"},
        {"model": "a", "share": "0.2", "displaced": "false"},
        {"model": "b", "share": "0.5", "discount": "0.1", "batchShare": "0.4"},
    ]
    scenario = parse_scenario({**plain("10e9"), "managed": {"routes": routes}})
    assert scenario.managed.displaced_share == Decimal("0.8")
    assert scenario.displaced_tokens_per_month == 8 * 10**9
    assert parse_scenario(scenario.to_inputs()) == scenario


def test_the_first_editions_share_is_refused_with_the_key_that_took_its_place(plain: Plain) -> None:
    (line,) = lines(plain(workload={"displacedShare": "0.8"}))
    assert line == (
        "crossover:workload.displacedShare: this key is gone; give managed.routes, and say displaced: false of the "
        "models that stay managed"
    )


def test_what_is_served_must_be_known_unless_the_figures_are_given(plain: Plain, rung: Rung) -> None:
    """Throughput is known by model and machine."""
    for fleet in ({"nodes": 2, "sku": "a/b"}, {"nodes": {"a": {"candidates": [rung()]}}}):
        (line,) = lines({**plain(), "fleet": fleet})
        assert line.startswith("crossover:workload.model: missing; ")
    assert parse_scenario(plain()).workload.model is None


@pytest.mark.parametrize(
    ("cached", "given", "hits", "assumed"),
    [(0, None, 0, False), ("0.6", None, "0.6", True), ("0.6", "0.2", "0.2", False), ("0.6", 0, 0, False)],
)
def test_hits_of_the_nodes_own_cache_are_the_apis_unless_given(
    plain: Plain, cached: Any, given: Any, hits: Any, assumed: bool
) -> None:
    work = parse_scenario(plain(workload={"cachedShare": cached, "prefixHitShare": given})).workload
    assert (work.prefix_hits, work.assumes_prefix_hits) == (Decimal(hits), assumed)


def test_growth_beyond_counting_is_a_slip_of_the_unit(plain: Plain) -> None:
    """15 for 15 % is out of bounds at once; 5 over 24 months would be 8e17-fold."""
    (line,) = lines(plain(workload={"growthPerMonth": 5}))
    assert line.startswith("crossover:workload.growthPerMonth: 5 makes the volume 8e+17 times as large by month 24")


def test_null_stands_for_absent_usage_and_routes(plain: Plain) -> None:
    """A key that says nothing changes nothing."""
    data = plain(workload={"usage": None})
    data["managed"]["routes"] = None
    assert parse_scenario(data) == parse_scenario(plain())


def test_flags_may_be_strings(plain: Plain) -> None:
    """`pulumi config set` may store "true"."""
    constraints = parse_scenario(plain(constraints={"residency": "true", "mlTeam": False})).constraints
    assert (constraints.residency, constraints.ml_team) == (True, False)


def test_inputs_survive_the_way_through_the_engine(plain: Plain, rung: Rung) -> None:
    """to_inputs is plain, has no null, and parses to the same scenario, also with all numbers as floats."""

    def floats(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | dict | list):
            assert value is not None
            return value
        if isinstance(value, dict):
            return {key: floats(item) for key, item in value.items()}
        return [floats(item) for item in value] if isinstance(value, list) else float(value)

    nodes = {key: {"candidates": [rung(), rung("aws", maxUsdPerHour=22.32)]} for key in "ab"}
    for fleet in (plain()["fleet"], {"nodes": 2, "sku": "aws/p4de.24xlarge"}, {"nodes": nodes}):
        served = plain("6000000000.5", rho="1.37", workload={"model": "org/model", "prefixHitShare": "0.3"})
        scenario = parse_scenario({**served, "fleet": fleet})
        assert parse_scenario(floats(scenario.to_inputs())) == scenario


def test_the_prefix_is_how_keys_are_called() -> None:
    """A file has no namespace."""
    with pytest.raises(ScenarioError, match=r"^workload: missing"):
        parse_scenario({}, prefix="")


def test_baseline_is_parsed_and_travels(plain: Plain) -> None:
    """The date as a string or a date; the way through the engine's floats changes nothing."""
    data = {"nodes": 2.0, "usdPerMonth": 19940.0, "approvedBy": "a. person", "date": "2026-09-01"}
    baseline = parse_baseline(data)
    assert (baseline.nodes, baseline.usd_per_month, baseline.date) == (2, Decimal(19940), date(2026, 9, 1))
    assert parse_baseline({**data, "date": date(2026, 9, 1)}) == baseline
    assert parse_baseline({**data, "date": "2026-09-01 00:00:00 +0000 UTC"}) == baseline  # unquoted, by the engine
    assert parse_baseline(baseline.model_dump(mode="json", by_alias=True)) == baseline


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("date", "yesterday", "must be a date as YYYY-MM-DD, got 'yesterday'"),
        ("approvedBy", "", "must be a name"),
        ("nodes", 0, "must be at least 1"),
        ("usdPerMonth", "nan", "must be a finite number"),
    ],
)
def test_a_bad_baseline_is_refused(key: str, value: Any, said: str) -> None:
    """By key."""
    data = {"nodes": 2, "usdPerMonth": 19940, "approvedBy": "a. person", "date": "2026-09-01", key: value}
    with pytest.raises(ScenarioError, match=rf"^crossover:baseline\.{key}: {said}"):
        parse_baseline(data)
    with pytest.raises(ScenarioError, match=r"expected a map"):
        parse_baseline([])
