"""The rules as the engine calls them: proxied props, floats, unknowns, urns."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy
from pulumi_policy.proxy import UNKNOWN_NUMBER_VALUE, UNKNOWN_OBJECT_VALUE, UNKNOWN_STRING_VALUE

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import ADVISORY, BESIDE, WAIVERS, Severity, discovered
from cost_guard.pack import gate, registry, resources, rule, standing
from cost_guard.pack.advisories import policies
from cost_guard.pack.resources import node_outside_fleet, spot_share
from cost_guard.scenario.proposal import parse_scenario, proposal_of_inputs
from cost_guard.scenario.scenario import Scenario
from cost_guard.verdict import rules as verdict_rules
from cost_guard.verdict.verdict import explain
from strict import names
from strict.day import VARIABLE
from tests.support.gate import verdict_of
from tests.support.rules import FLEET_URN, STACK, args
from tests.support.rules import reports as asked
from tests.unit.cost_guard.conftest import invoiced

Build = Callable[..., Scenario]
Rung = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.usefixtures("pack")
RULES = {policy.name: policy for policy in policies()}
MANDATORY = registry.codes().mandatory
CODES = tuple(verdict_rules.RULES)


def reports(name: str, given: Any) -> list[str]:
    return asked(RULES[name], given) if isinstance(RULES[name], ResourceValidationPolicy) else []


def violations(props: dict[str, Any]) -> dict[str, list[str]]:
    return {code: found for code in CODES if (found := reports(code, args(props)))}


def test_every_reason_code_has_a_mandatory_rule() -> None:
    """WARNs, notes and waivers go to three advisory rules, all else blocks."""
    levels = {name: policy.enforcement_level for name, policy in RULES.items()}
    assert [levels.pop(name) for name in (ADVISORY, WAIVERS, BESIDE)] == [EnforcementLevel.ADVISORY] * 3
    assert list(levels) == list(MANDATORY)
    assert set(levels.values()) == {EnforcementLevel.MANDATORY}
    assert set(CODES) <= set(MANDATORY)


def test_every_rule_says_what_to_do_and_has_a_section_in_the_docs() -> None:
    """Severity, remediation, and a link that leads somewhere."""
    docs = Path(__file__).parents[4] / "docs" / "reference" / "policies.md"
    sections = {line.removeprefix("## ").strip("`") for line in docs.read_text().splitlines() if line.startswith("## ")}
    for name, policy in RULES.items():
        assert policy.severity is not None
        assert policy.remediation_steps
        assert policy.url == f"docs/reference/policies.md#{name}"
        assert name in sections


def test_every_file_of_a_rule_says_all_that_a_reader_needs() -> None:
    """Each is found by its file; a missing fact is named with the file that lacks it."""
    known = registry.rules()
    for found in known:
        file = f"{found.code.replace('-', '_')}.py"
        assert found.demand.endswith("."), f"{file}: demand is no sentence"
        assert found.remedy.endswith("."), f"{file}: remedy is no sentence"
        assert found.key, f"{file}: key is empty"
        assert isinstance(found.severity, Severity), f"{file}: severity is none"
    positions = [found.position for found in known]
    assert len(set(positions)) == len(positions), f"two rules at one position: {sorted(positions)}"
    files = {path.stem for folder in (verdict_rules, resources) for path in Path(folder.__path__[0]).glob("[!_]*.py")}
    assert files == {code.replace("-", "_") for code in MANDATORY}


def test_a_fleet_that_pays_passes_and_its_warnings_are_shown(ladder: Build) -> None:
    """6e9 at $5: no violation; the old quotation and its distance from live prices are advisory."""
    inputs = ladder().to_inputs()
    assert violations(inputs) == {}
    (text,) = reports("advisories", args(inputs))
    assert "WARN price-fresh: " in text
    assert "+105.7 %" in text


def test_a_fleet_that_does_not_pay_is_refused_in_the_programs_words(ladder: Build) -> None:
    """500e6: two violations, each a line of what `explain` says."""
    scenario = ladder(volume="500e6")
    found = violations(scenario.to_inputs())
    assert list(found) == ["break-even", "horizon", "probability"]
    said = explain(verdict_of(scenario, load_catalogue(), date(2026, 11, 22)))
    assert all(text in said for (text,) in found.values())


def test_a_rule_that_breaks_refuses_in_every_rule(ladder: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have said is not lost on the way to the verdict."""

    def broken(_: Any) -> None:
        raise RuntimeError("hunter2")

    rule_of_two = replace(verdict_rules.RULES["redundancy"], find=broken)
    monkeypatch.setitem(verdict_rules.RULES, "redundancy", rule_of_two)
    scenario = ladder(volume="6.000000003e9")
    with pytest.raises(RuntimeError, match="hunter2"):
        verdict_of(scenario, load_catalogue(), date(2026, 11, 22))
    assert list(violations(scenario.to_inputs())) == list(CODES)


def test_a_file_without_its_rule_keeps_the_pack_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is enforced in silence by nobody: a file without a RULE, and one whose code is not its name."""
    for text in ("", "class RULE:\n    code, position = 'another', 1\n"):
        folder = tmp_path / f"toys{len(text)}"
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "a_toy.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ImportError, match=r"a_toy must have a RULE with the code of its name"):
            discovered(importlib.import_module(folder.name))


@pytest.mark.parametrize(
    ("doubled", "said"),
    [
        ({"code": "capacity", "position": 1000}, "rules/capacity.py and pack/resources/capacity.py both hold"),
        ({"code": "a-toy", "position": 110}, "the rules spot-share and a-toy both have the position 110"),
    ],
)
def test_two_rules_of_one_code_or_position_keep_the_pack_from_starting(
    doubled: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither hides the other in silence: both are named."""
    toy = replace(spot_share.RULE, **doubled)
    monkeypatch.setattr(registry, "discovered", lambda package: [*discovered(package), toy])
    with pytest.raises(ImportError, match=said):
        registry.rules.__wrapped__()


def test_repair_passes_and_a_third_node_does_not(ladder: Build) -> None:
    """The baseline travels in the inputs."""
    baseline = {"nodes": 2, "usdPerMonth": 19940, "approvedBy": "a. person", "date": "2026-09-01"}
    repair = {**ladder(volume="500e6").to_inputs(), "baseline": baseline}
    assert violations(repair) == {}
    assert "WARN break-even: " in reports("advisories", args(repair))[0]
    growth = {**ladder(3, volume="500e6").to_inputs(), "baseline": baseline}
    assert list(violations(growth)) == ["break-even", "horizon", "probability"]


RUNPOD = {"cloud": "runpod", "sku": "8x-a100-sxm-80gb-secure"}
HERE = {"constraints": {"residency": True}}
"""So that nobody else's API with the same weights is an option."""
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"horizon": {"upfrontUsd": 9_000_000}}, "horizon"),
    (RUNPOD, "same-weights"),
    ({"volume": "3.99e9", "price": 5}, "probability"),
    ({"volume": "60e9"}, "capacity"),
    ({"served": {"tensorParallelSize": 3}}, "model-fits"),
    ({"fleet": {"maxPerFailureDomain": 1}, "one_bay": True}, "redundancy"),
    ({"constraints": {"budgetUsdPerMonth": 1000}}, "budget"),
    ({"cloud": "aws", "sku": "nonsense"}, "price-known"),
    ({"workload": {"model": "org/unknown"}}, "throughput-known"),
    ({**RUNPOD, **HERE, "managed": {"usdPerMillionTokens": 50}}, "managed-known"),
    ({**RUNPOD, **HERE, "maxUsdPerHour": 100}, "price-ceiling"),
    ({**RUNPOD, **HERE, "today": "2027-11-22", "managed": {**invoiced(50), "date": "2027-11-01"}}, "price-fresh"),
    ({**RUNPOD, **HERE, "nodes": 3}, "volume-measured"),
]


def test_each_code_is_broken_once() -> None:
    """break-even, which never comes alone, by the tests above."""
    assert {code for _, code in BROKEN} | {"break-even"} == set(CODES)


@pytest.mark.parametrize(("change", "code"), BROKEN)
def test_each_code_is_enforced_by_its_rule(
    ladder: Build, rung: Rung, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], code: str
) -> None:
    """One compliant fleet, broken one way at a time."""
    change = dict(change)
    cloud, sku = change.pop("cloud", "local"), change.pop("sku", "sim-8x-a100")
    one_bay, count = change.pop("one_bay", False), change.pop("nodes", 2)
    if day := change.pop("today", None):
        monkeypatch.setenv(VARIABLE, day)
    served, more = change.pop("served", None), {key: change.pop(key) for key in ("maxUsdPerHour",) if key in change}
    nodes = {key: [rung(cloud, region="bay-1" if one_bay else key, sku=sku, **more)] for key in "abc"[:count]}
    inputs = ladder(nodes, **{"price": 50, **change}).to_inputs()
    if served is not None:
        inputs["served"] = served
    if code == "volume-measured":
        inputs["baseline"] = {"nodes": 2, "usdPerMonth": 25008, "approvedBy": "a. person", "date": "2026-09-01"}
    found = violations(inputs)
    assert list(found) == [code]
    assert found[code][0].startswith(f"BLOCK {code}: ")


@pytest.mark.parametrize("path", ["workload", "workload.tokensPerMonth", "fleet.nodes.a.candidates.0.sku", "overhead"])
def test_unknown_inputs_fail_closed(ladder: Build, path: str) -> None:
    """The engine would turn the UnknownValueError into an advisory note: every rule refuses instead."""
    inputs: Any = ladder().to_inputs()
    part, keys = inputs, path.split(".")
    for key in keys[:-1]:
        part = part[int(key) if key.isdigit() else key]
    part[keys[-1]] = UNKNOWN_OBJECT_VALUE if path in ("workload", "overhead") else UNKNOWN_NUMBER_VALUE
    found = violations(inputs)
    assert list(found) == list(CODES)
    assert found["break-even"] == [
        f"cannot evaluate: crossover:{path}: unknown until the update runs; the gate needs it known at preview"
    ]
    assert reports("advisories", args(inputs)) == []


def test_missing_and_misspelt_inputs_fail_closed(ladder: Build) -> None:
    """All lines in the first rule, the first line in the others; a foreign value is never shown."""
    found = violations({})
    assert list(found) == list(CODES)
    assert found["break-even"][0].count("\n") == 2
    assert found["budget"][0].endswith("(and 2 more, see break-even)")
    leaky = {**ladder().to_inputs(), "sshKey": "hunter2"}
    assert "hunter2" not in json.dumps(violations(leaky))
    assert "crossover:sshKey: unknown key" in violations(leaky)["break-even"][0]
    unapproved = {**ladder().to_inputs(), "baseline": {"nodes": 2, "usdPerMonth": 19940, "date": "2026-09-01"}}
    assert violations(unapproved)["capacity"] == [
        "cannot evaluate: crossover:baseline.approvedBy: missing; it has no default, set it"
    ]


def test_any_exception_fails_closed(ladder: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its text, which might hold an input."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(gate, "proposal_of_inputs", broken)
    found = violations(ladder(volume="6.000000001e9").to_inputs())
    assert list(found) == list(CODES)
    assert found["redundancy"] == ["cannot evaluate: internal error, RuntimeError: report it"]


def test_a_day_that_is_none_fails_closed(ladder: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """CROSSOVER_TODAY with a typo does not fall back to the clock."""
    monkeypatch.setenv(VARIABLE, "tomorrow")
    assert list(violations(ladder().to_inputs())) == list(CODES)


def test_the_clock_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable."""
    monkeypatch.delenv(VARIABLE)
    assert standing.standing_day() is not None


def test_one_resource_is_evaluated_once(ladder: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of the verdict share it: they run at every preview."""
    calls: list[Any] = []

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return proposal_of_inputs(*given, **named)

    monkeypatch.setattr(gate, "proposal_of_inputs", counted)
    violations(ladder(volume="6.000000002e9").to_inputs())
    assert len(calls) == 1


def test_other_resources_are_left_alone() -> None:
    """No rule speaks of what is neither Fleet nor Node."""
    bucket = args({}, "aws:s3/bucket:Bucket", f"{STACK}aws:s3/bucket:Bucket::b")
    assert [reports(name, bucket) for name in RULES] == [[]] * len(RULES)


# --- node-outside-fleet ----------------------------------------------------------------------------------------------


def node(candidates: Any, chain: str, name: str = "a", parent: str | None = FLEET_URN) -> list[str]:
    props = {"candidates": candidates} if candidates is not None else {}
    urn = f"{STACK}{chain}{names.NODE}::{name}"
    return reports("node-outside-fleet", args(props, names.NODE, urn, parent))


def remember(scenario: Scenario) -> None:
    assert reports("node-outside-fleet", args(scenario.to_inputs())) == []


IN_FLEET, IN_GATEWAY = "crossover:index:Fleet$", "crossover:index:Gateway$"


def test_the_fleets_own_nodes_pass(ladder: Build, rung: Rung) -> None:
    """Also with another ceiling: it may change in place."""
    remember(ladder())
    assert node([rung()], IN_FLEET) == []
    assert node([rung(region="bay-2", maxUsdPerHour=3.5)], IN_FLEET, "b") == []
    assert node([rung()], IN_FLEET) == []


def test_a_node_outside_a_fleet_is_refused(rung: Rung) -> None:
    """At the top, or in a component of another type; local or not."""
    for chain in ("", "my:own:Component$"):
        assert node([rung()], chain) == [
            "this node is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
        ]


def test_a_node_that_the_fleets_inputs_do_not_name_is_refused(ladder: Build, rung: Rung) -> None:
    """Other candidates, or one node more with the candidates of another."""
    remember(ladder())
    assert node([rung("aws", sku="p4de.24xlarge")], IN_FLEET)[0].startswith("its candidates are none of those")
    assert node([rung()], IN_FLEET, "a") == []
    assert node([rung(region="bay-2")], IN_FLEET, "b") == []
    assert node([rung()], IN_FLEET, "c") == ["the Fleet has more nodes than the 2 in crossover:fleet.nodes"]


def test_a_fleet_that_was_not_seen_has_no_nodes(rung: Rung) -> None:
    """A component below a Fleet that makes nodes of its own, or no parent at all."""
    for parent in (None, f"{STACK}my:own:Component::x"):
        assert node([rung()], IN_FLEET, parent=parent)[0].startswith("the Fleet of this node was not seen")


def test_a_fleet_without_ladders_has_no_nodes(quotation: Build, rung: Rung) -> None:
    """Its quotation might be cheaper than what its nodes rent."""
    remember(quotation())
    assert node([rung()], IN_FLEET)[0].startswith("its candidates are none of those")


def test_a_gateways_machine_is_free_only_where_nothing_bills(rung: Rung) -> None:
    """`local` and `existing` pass, one billing candidate or none at all does not."""
    assert node([rung(), rung("existing")], IN_GATEWAY) == []
    assert "a gateway's machine that bills money" in node([rung(), rung("aws")], IN_GATEWAY)[0]
    assert len(node([], IN_GATEWAY)) == 1


def test_another_type_of_our_plugin_is_refused_before_it_is_made() -> None:
    """Ten helpers with eight H100 each, by a plugin that a pull request has changed; in a Fleet, too. What rents
    nothing is not even looked at."""
    helper = "gpucloud:index:Helper"
    for chain in ("", IN_FLEET):
        (text,) = reports("node-outside-fleet", args({}, helper, f"{STACK}{chain}{helper}::a"))
        assert text.startswith(f"{helper} is no type of this project's plugin")
    for kind in node_outside_fleet.RENT_NOTHING:
        assert not rule.looks_at(node_outside_fleet.RULE, kind)
    assert rule.looks_at(node_outside_fleet.RULE, names.NODE)


INSTANCE = "aws:ec2/instance:Instance"
IN_AWS_NODE = "crossover:index:Fleet$crossover:aws:Node$"


def instance(sku: Any, chain: str = IN_AWS_NODE, name: str = "a", kind: str = INSTANCE) -> list[str]:
    """An instance as `aws.resources.node` makes it: below a component of its own, whose parent is the Fleet."""
    component = f"{STACK}{chain.rstrip('$')}::{name}"
    if chain == IN_AWS_NODE:
        assert reports("node-outside-fleet", args({}, names.AWS_NODE, component, FLEET_URN)) == []
    props = {} if sku is None else {"instanceType": sku}
    return reports("node-outside-fleet", args(props, kind, f"{STACK}{chain}{kind}::{name}", component))


def test_a_fleets_own_instances_at_aws_pass_and_no_more(ladder: Build, rung: Rung) -> None:
    """Two nodes at AWS and one at another cloud: two instances."""
    remember(ladder({"a": [rung("aws", sku="p4de.24xlarge")], "b": [rung("aws", sku="p4d.24xlarge")], "c": [rung()]}))
    assert instance("p4de.24xlarge") == []
    assert instance("p4d.24xlarge", name="b") == []
    assert instance("p4de.24xlarge") == []
    assert instance("p4de.24xlarge", name="c") == [
        "the Fleet has more machines with GPUs than the 2 nodes that the program itself makes in crossover:fleet.nodes"
    ]


@pytest.mark.parametrize("kind", sorted(node_outside_fleet.INSTANCE_TYPES))
@pytest.mark.parametrize("chain", ["", IN_GATEWAY, "my:own:Component$"])
@pytest.mark.parametrize("sku", ["p4de.24xlarge", "p5.48xlarge", "g6e.xlarge", "gr6.4xlarge", "trn1.32xlarge"])
def test_an_instance_with_gpus_outside_a_fleet_is_refused(sku: str, chain: str, kind: str) -> None:
    assert instance(sku, chain, kind=kind) == [
        "this GPU instance is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    ]


@pytest.mark.parametrize(
    ("kind", "props", "named"),
    [
        ("aws:ec2/launchTemplate:LaunchTemplate", {"instanceType": "p4d.24xlarge"}, "p4d.24xlarge"),
        ("aws:ec2/capacityReservation:CapacityReservation", {"instanceType": "p5.48xlarge"}, "p5.48xlarge"),
        ("aws:eks/nodeGroup:NodeGroup", {"instanceTypes": ["m7i.large", "g6e.48xlarge"]}, "g6e.48xlarge"),
        ("aws:ec2/fleet:Fleet", {"launchTemplateConfig": {"overrides": [{"instanceType": "p4de.24xlarge"}]}},
         "p4de.24xlarge"),
        ("aws:sagemaker/endpointConfiguration:EndpointConfiguration",
         {"productionVariants": [{"instanceType": "ml.p4d.24xlarge"}]}, "ml.p4d.24xlarge"),
        ("aws:batch/computeEnvironment:ComputeEnvironment", {"computeResources": {"instanceTypes": ["p5"]}}, "p5"),
        ("aws:ec2/dedicatedHost:DedicatedHost", {"instanceFamily": "vt1"}, "vt1"),
    ],
)  # fmt: skip
def test_other_ways_to_rent_gpus_at_aws_are_refused(kind: str, props: dict[str, Any], named: str) -> None:
    """Beside what only `up` knows; a machine without GPUs is not the gate's."""
    later = {**props, "subnetId": UNKNOWN_STRING_VALUE, "tags": {"Name": "p5", "of": UNKNOWN_STRING_VALUE}}
    assert reports("node-outside-fleet", args(later, kind)) == [
        f"it rents {named} outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    ]
    without = json.loads(json.dumps(later).replace(f'"{named}"', '"m7i.large"'))
    assert reports("node-outside-fleet", args(without, kind)) == []


@pytest.mark.parametrize("sku", ["c7i.large", "m7i.large", "t3.micro", "i4i.large", "d3.xlarge"])
def test_other_instances_are_not_the_gates(sku: str) -> None:
    """A gateway's, or a bastion."""
    assert instance(sku, IN_GATEWAY) == instance(sku, "") == []


def test_an_instance_of_a_fleet_that_was_not_seen_is_refused() -> None:
    assert instance("p4d.24xlarge")[0].startswith("the Fleet of this instance was not seen")


@pytest.mark.parametrize("sku", [None, UNKNOWN_NUMBER_VALUE])
def test_an_instance_whose_type_cannot_be_told_is_refused(sku: Any) -> None:
    assert len(instance(sku, "")) == 1


@pytest.mark.parametrize("candidates", [None, UNKNOWN_NUMBER_VALUE, [{"cloud": UNKNOWN_NUMBER_VALUE}], "x", [{}], [3]])
@pytest.mark.parametrize("chain", ["", IN_FLEET, IN_GATEWAY])
def test_a_node_without_readable_candidates_is_refused(candidates: Any, chain: str) -> None:
    """Unknown, missing, malformed: fail closed."""
    assert len(node(candidates, chain)) == 1


def test_the_engines_floats_are_the_scenarios_numbers(ladder: Build) -> None:
    """0.7 and 1.3 come through protobuf as floats and are the same decimals again."""
    wired = args(ladder().to_inputs()).props
    assert parse_scenario(rule.unwrapped(wired)) == ladder()
