"""Rules on single resources and on the whole stack: something compliant, broken a field at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi_policy import PolicyResource, StackValidationArgs
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from cost_guard.catalogue.catalogue import CatalogueError
from cost_guard.codes import Severity
from cost_guard.pack import gate, registry
from cost_guard.pack.advisories import policies
from cost_guard.pack.policies import ResourcePolicy, policy_of
from cost_guard.pack.resources import ingress_closed, self_check
from cost_guard.pack.rule import NoConfig, ResourceRule
from cost_guard.pack.standing import standing_waivers
from cost_guard.scenario.scenario import Scenario
from images.bundle import Bundle, File
from images.engines.vllm import ENGINE
from images.roles.gateway.settings import Peer
from images.roles.monitoring.prometheus import render_prometheus
from images.roles.monitoring.settings import MonitoringSettings
from strict import names
from tests.support.rules import FLEET_TYPE, FLEET_URN, STACK, args, reports, resource

pytestmark = pytest.mark.usefixtures("pack")
Build = Callable[..., Scenario]
Rung = Callable[..., dict[str, Any]]
RULES = {policy.name: policy for policy in policies()}


def found(code: str, props: dict[str, Any], kind: str, **more: Any) -> list[str]:
    return reports(RULES[code], args(props, kind, **more))


def waive(folder: Path, code: str, **change: Any) -> None:
    """A valid waiver, read from now on."""
    entry = {
        "policy": code, "stack": "local", "owner": "a", "approver": "b", "reason": "r", "ticket": "T-1",
        "created": "2026-11-01", "expires": "2026-12-01", **change,
    }  # fmt: skip
    (folder / "waivers.yaml").write_text(yaml.safe_dump([entry]))
    standing_waivers.cache_clear()


def shown(props: dict[str, Any], kind: str) -> list[str]:
    """What the advisory rule says of a resource that every rule has seen."""
    for policy in RULES.values():
        if isinstance(policy, ResourcePolicy):
            reports(policy, args(props, kind))
    return reports(RULES["advisories"], args(props, kind))


# --- spot-share ------------------------------------------------------------------------------------------------------

SPOT, ON_DEMAND = "runpod/8x-a100-sxm-80gb-spot", "runpod/8x-a100-sxm-80gb-secure"


def fleet(ladder: Build, rung: Rung, *keys: str, spare: int = 1) -> dict[str, Any]:
    """Nodes by what they stand for."""
    nodes = {"abcdef"[n]: [rung(region=f"bay-{n}", standsFor=key)] for n, key in enumerate(keys)}
    return ladder(nodes, fleet={"spareNodes": spare}).to_inputs()


def test_half_of_the_nodes_may_be_interruptible_and_the_spare_covers_one(ladder: Build, rung: Rung) -> None:
    """1 of 2, 2 of 4; 2 of 3 are more than half; without a spare none may."""
    assert found("spot-share", fleet(ladder, rung, SPOT, ON_DEMAND), FLEET_TYPE) == []
    assert found("spot-share", fleet(ladder, rung, SPOT, SPOT, ON_DEMAND, ON_DEMAND), FLEET_TYPE) == []
    (text,) = found("spot-share", fleet(ladder, rung, SPOT, SPOT, ON_DEMAND), FLEET_TYPE)
    assert text == "2 of 3 nodes are on interruptible machines, 66.7%; at most 50.0% may be"
    (text,) = found("spot-share", fleet(ladder, rung, SPOT, ON_DEMAND, spare=0), FLEET_TYPE)
    assert text == "1 of 1 interruptible nodes may be away at once, and spareNodes is 0"
    assert found("spot-share", fleet(ladder, rung, ON_DEMAND, ON_DEMAND, spare=0), FLEET_TYPE) == []


def test_one_interruptible_rung_makes_a_node_interruptible(ladder: Build, rung: Rung) -> None:
    """Its machine may be that one; so may one whose SKU only sounds so."""
    both = [rung(standsFor=ON_DEMAND), rung("vastai", sku="9x-interruptible")]
    inputs = ladder({"a": both, "b": both}).to_inputs()
    assert found("spot-share", inputs, FLEET_TYPE)[0].startswith("2 of 2 nodes are on interruptible machines")


def test_a_fleet_of_one_sku_is_interruptible_as_a_whole(ladder: Build) -> None:
    """Form 2, whose SKU the catalogue knows as spot, or which only sounds so, in whatever case."""
    for sku in (SPOT, "vastai/8x-SPOT"):
        inputs = ladder().to_inputs() | {"fleet": {"nodes": 2, "sku": sku}}
        assert found("spot-share", inputs, FLEET_TYPE)[0].startswith("2 of 2 nodes are on interruptible machines")
    assert found("spot-share", ladder().to_inputs() | {"fleet": {"nodes": 2, "sku": ON_DEMAND}}, FLEET_TYPE) == []


def test_the_share_is_configured_and_a_misspelt_property_is_refused(ladder: Build, rung: Rung) -> None:
    """The engine takes any name, and Pydantic none but its own."""
    inputs = fleet(ladder, rung, SPOT, ON_DEMAND)
    (text,) = found("spot-share", inputs, FLEET_TYPE, config={"maxShare": 0.25})
    assert text.endswith("at most 25.0% may be")
    (text,) = found("spot-share", inputs, FLEET_TYPE, config={"maxShar": 1})
    assert text == "the rule's configuration cannot be used: maxShar: unknown key (did you mean maxShare?)"
    assert len(found("spot-share", inputs, FLEET_TYPE, config={"maxShare": 2})) == 1
    assert len(found("spot-share", {"fleet": UNKNOWN_STRING_VALUE}, FLEET_TYPE)) == 1


# --- ingress-closed --------------------------------------------------------------------------------------------------

GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
ACL_RULE = "aws:ec2/networkAclRule:NetworkAclRule"
RUNG = {"cloud": "lambda", "region": "us-east-1", "sku": "x"}
CLOSED: dict[str, dict[str, Any]] = {
    GROUP: {"ingress": [{"cidrBlocks": ["203.0.113.0/24"], "ipv6CidrBlocks": ["2001:db8::/32"]}, {"self": True}]},
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {"ingress": [{"cidrBlocks": ["10.0.0.0/8"]}]},
    RULE: {"type": "ingress", "cidrBlocks": ["203.0.113.0/24"], "ipv6CidrBlocks": ["2001:db8::/32"]},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"cidrIpv4": "203.0.113.0/24"},
    "aws:ec2/networkAcl:NetworkAcl": {"ingress": [{"action": "allow", "cidrBlock": "10.0.0.0/8"}]},
    "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl": {"ingress": [{"action": "allow", "cidrBlock": "10.0.0.0/8"}]},
    ACL_RULE: {"egress": False, "ruleAction": "allow", "cidrBlock": "10.0.0.0/8"},
    "aws:ec2/managedPrefixList:ManagedPrefixList": {"entries": [{"cidr": "10.0.0.0/8"}]},
    "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry": {"cidr": "10.0.0.0/8"},
    names.NODE: {"candidates": [RUNG], "settings": {"lambda": {"sourceNetworks": ["203.0.113.0/24"]}}},
}


def opened(props: Any, cidr: str) -> Any:
    """The same with its first IPv4 range widened."""
    if isinstance(props, dict):
        key = next((k for k in ("cidrBlocks", "sourceNetworks", "cidrIpv4", "cidrBlock", "cidr") if k in props), None)
        if key is not None:
            return {**props, key: [cidr] if isinstance(props[key], list) else cidr}
        return {k: opened(v, cidr) for k, v in props.items()}
    return [opened(item, cidr) for item in props] if isinstance(props, list) else props


@pytest.mark.parametrize("kind", list(ingress_closed.ADMITTED))
@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "8000::/1", "64.0.0.0/7"])
def test_no_firewall_admits_the_world_nor_halves_of_it(kind: str, cidr: str) -> None:
    """Each resource type is closed as it stands here, and open with one range widened."""
    assert found("ingress-closed", CLOSED[kind], kind) == []
    (text,) = found("ingress-closed", opened(CLOSED[kind], cidr), kind)
    assert text.startswith(f"it admits {cidr}, which is wider than /")


def test_ranges_that_add_up_to_the_world_are_the_world() -> None:
    """256 /8s in one group, each of them narrow enough."""
    many = {"ingress": [{"cidrBlocks": [f"{n}.0.0.0/8"]} for n in range(256)]}
    assert found("ingress-closed", many, GROUP) == ["it admits 0.0.0.0/0, which is wider than /8: as good as the world"]


def test_ranges_with_gaps_that_add_up_to_a_good_deal_of_the_world_are_the_world() -> None:
    """Every /8 less a sixteenth of it, 94 % of all; every other /8; four /8 are a sixty-fourth, and five are more."""
    holed = [f"{n}.{rest}" for n in range(256) for rest in ("0.0.0/9", "128.0.0/10", "192.0.0/11", "224.0.0/12")]
    for ranges, share in ((holed, "94%"), ([f"{n}.0.0.0/8" for n in range(0, 256, 2)], "50%")):
        said = [f"its ranges together admit {share} of all IPv4 addresses: as good as the world"]
        assert found("ingress-closed", {"ingress": [{"cidrBlocks": ranges}]}, GROUP) == said
    four = [f"{n}.0.0.0/8" for n in range(0, 8, 2)]
    assert found("ingress-closed", {"ingress": [{"cidrBlocks": four}]}, GROUP) == []
    assert len(found("ingress-closed", {"ingress": [{"cidrBlocks": [*four, "20.0.0.0/8"]}]}, GROUP)) == 1
    wide = {"ingress": [{"cidrBlocks": ["16.0.0.0/4"]}]}
    assert found("ingress-closed", wide, GROUP, config={"widestIpv4Prefix": 4}) == []


def test_what_goes_out_or_is_denied_may_be_the_world() -> None:
    """Egress of every kind, and a deny."""
    world = ["0.0.0.0/0"]
    assert found("ingress-closed", {"egress": [{"cidrBlocks": world}]}, GROUP) == []
    assert found("ingress-closed", {"type": "egress", "cidrBlocks": world}, RULE) == []
    acl = {"ruleAction": "allow", "cidrBlock": "0.0.0.0/0"}
    assert found("ingress-closed", {**acl, "egress": True}, ACL_RULE) == []
    assert found("ingress-closed", {**acl, "egress": False, "ruleAction": "deny"}, ACL_RULE) == []
    assert len(found("ingress-closed", acl, ACL_RULE)) == 1


def test_a_node_at_lambda_admits_whom_either_list_names() -> None:
    """Nobody where there is none, which the cloud itself refuses; a section that no rung uses opens nothing."""
    world = {"settings": {"lambda": {"sourceNetworks": ["203.0.113.7/32"], "clientCidrs": ["0.0.0.0/0"]}}}
    assert len(found("ingress-closed", {"candidates": [RUNG], **world}, names.NODE)) == 1
    assert found("ingress-closed", {"candidates": [RUNG]}, names.NODE) == []
    other = {"candidates": [{**RUNG, "cloud": "runpod"}], **world}
    assert found("ingress-closed", other, names.NODE) == []


def test_ranges_that_only_up_knows_are_noted_and_those_before_them_judged() -> None:
    """UnknownValueError is what the engine shows as a note in preview."""
    later = {"ingress": [{"cidrBlocks": ["0.0.0.0/0", UNKNOWN_STRING_VALUE]}], "vpcId": UNKNOWN_STRING_VALUE}
    said: list[str] = []
    with pytest.raises(UnknownValueError):
        RULES["ingress-closed"].validate(args(later, GROUP), lambda text, urn=None: said.append(text))  # type: ignore[attr-defined]
    assert len(said) == 1
    assert found("ingress-closed", {**CLOSED[GROUP], "vpcId": UNKNOWN_STRING_VALUE}, GROUP) == []


def test_what_is_no_range_is_refused_and_the_limit_is_configured() -> None:
    assert found("ingress-closed", {"ingress": [{"cidrBlocks": ["everyone"]}]}, GROUP) == [
        "'everyone' is no range of addresses"
    ]
    assert len(found("ingress-closed", CLOSED[GROUP], GROUP, config={"widestIpv4Prefix": 25})) == 1
    assert found("ingress-closed", {}, GROUP) == []


# --- ownership-tags --------------------------------------------------------------------------------------------------

INSTANCE = "aws:ec2/instance:Instance"
NODE = {"project": "crossover", "stack": "local", "key": "a", "role": "inference", "generation": 1}
TAGS = {"crossover:fleet": "crossover:local:inference", "crossover:mark": "crossover:crossover:local:inference:a:1"}


def tagged(props: dict[str, Any], kind: str = INSTANCE, **more: Any) -> list[str]:
    """Of what our components make at AWS."""
    return found("ownership-tags", props, kind, urn=f"{STACK}{names.AWS_NETWORK}${kind}::it", **more)


@pytest.mark.parametrize("missing", [*NODE])
def test_a_node_says_whose_it_is(missing: str) -> None:
    assert found("ownership-tags", NODE, "gpucloud:index:Node") == []
    assert missing in found("ownership-tags", {**NODE, missing: None}, "gpucloud:index:Node")[0]
    assert len(found("ownership-tags", {**NODE, "stack": "other"}, "gpucloud:index:Node")) == 1


@pytest.mark.parametrize("missing", [*TAGS])
def test_an_instance_carries_both_tags_and_they_are_the_stacks(missing: str) -> None:
    assert tagged({"tags": TAGS}) == []
    assert len(tagged({"tags": {**TAGS, missing: "crossover:other:x"}})) == 1
    assert len(tagged({"tags": {k: v for k, v in TAGS.items() if k != missing}})) == 1
    assert len(tagged({})) == 2


def test_what_has_no_tags_at_aws_is_left_alone_and_what_has_some_needs_ours() -> None:
    """Of types that the rule does not list."""
    assert tagged({"routeTableId": "r"}, "aws:ec2/route:Route") == []
    assert len(tagged({"tags": {"Name": "x"}}, "aws:s3/bucketV2:BucketV2")) == 1
    with pytest.raises(UnknownValueError):
        tagged({"tags": UNKNOWN_STRING_VALUE})


def test_what_none_of_our_components_makes_needs_the_tags_that_are_configured() -> None:
    """And none of ours; those of a component of ours need both."""
    web = {"tags": {"team": "web"}}
    assert found("ownership-tags", {}, INSTANCE) == found("ownership-tags", web, INSTANCE) == []
    asks = {"tags": ["team", "cost-centre"]}
    said = "it has no tag cost-centre, which the rule's configuration asks for"
    assert found("ownership-tags", web, INSTANCE, config=asks) == [said]
    assert found("ownership-tags", {}, INSTANCE, config=asks)[0].startswith("it has no tag team and no tag cost-centre")
    assert tagged({"tags": {**TAGS, "team": "ml"}}, config=asks) == [said]
    assert found("ownership-tags", {"bucket": "b"}, "aws:s3/bucketPolicy:BucketPolicy", config=asks) == []


# --- fallback-configured ---------------------------------------------------------------------------------------------


def gateway(fallback: str | None, config: dict[str, Any] | None = None, of: str = FLEET_URN) -> list[str]:
    props = {"fleet": of, **({} if fallback is None else {"fallback": fallback})}
    return found("fallback-configured", props, "crossover:index:Gateway", config=config)


def test_a_fallback_or_a_fleet_that_survives_a_loss_answers(ladder: Build) -> None:
    """6e9 survives the loss of one of two nodes (2,968 of 4,759 tokens/s); 18e9 does not."""
    assert found("fallback-configured", ladder().to_inputs(), FLEET_TYPE) == []
    assert gateway(None) == []
    assert len(gateway(None, {"redundancySuffices": False})) == 1
    assert found("fallback-configured", ladder(volume="18e9").to_inputs(), FLEET_TYPE) == []
    assert gateway(None)[0].startswith("no managed model answers when the nodes cannot, and the fleet does not serve")
    assert gateway("gpt-4o") == []


def test_a_gateway_of_a_fleet_that_nobody_saw_needs_a_fallback(ladder: Build) -> None:
    """Fail closed: also where its Fleet could not be judged."""
    assert len(gateway(None, of="urn:x")) == 1
    assert found("fallback-configured", {}, FLEET_TYPE) == []
    assert len(gateway(None)) == 1


# --- monitoring-wired ------------------------------------------------------------------------------------------------

IN_FLEET, IN_GATEWAY = "crossover:index:Fleet$", "crossover:index:Gateway$"
INSTALL = "gpucloud:index:Install"


def install(*scraped: str, text: str | None = None) -> PolicyResource:
    """A gateway's, as the program renders it."""
    targets = [Peer(key=key, address="192.0.2.1", port=8000, server_name=key) for key in scraped]
    rendered = render_prometheus(MonitoringSettings(), "local", targets, ENGINE.metrics) if text is None else text
    files = (File("prometheus/prometheus.yml", rendered),) if rendered else ()
    props = {"role": "gateway", "bundle": Bundle(role="gateway", files=files).to_dict()}
    return resource(props, INSTALL, f"{STACK}{IN_GATEWAY}{INSTALL}::gateway-router")


def machine(key: str, address: str | None = "192.0.2.1", kind: str = "gpucloud:index:Node") -> PolicyResource:
    return resource({"machine": {"address": address}}, kind, f"{STACK}{IN_FLEET}{kind}::{key}")


FLEET = resource({}, FLEET_TYPE, FLEET_URN)


def wired(*resources: PolicyResource) -> list[str]:
    return reports(RULES["monitoring-wired"], StackValidationArgs(list(resources)))


def test_every_node_with_an_address_is_scraped() -> None:
    """A vacant one has none; nodes at AWS count; a gateway's own machine does not."""
    own = resource(
        {"machine": {"address": "x"}}, "gpucloud:index:Node", f"{STACK}{IN_GATEWAY}gpucloud:index:Node::gateway"
    )
    assert wired(FLEET, machine("a"), machine("b"), own, install("a", "b")) == []
    assert wired(FLEET, machine("a"), machine("b", ""), install("a")) == []
    assert wired(FLEET, machine("a"), machine("b", kind="crossover:aws:Node"), install("a")) == [
        "its Prometheus does not scrape b"
    ]


def test_a_fleet_without_a_gateway_or_without_its_prometheus_is_refused() -> None:
    assert wired(FLEET, machine("a"))[0].startswith("no gateway is installed")
    assert wired(FLEET, machine("a"), install("a", text=""))[0].startswith(
        "its bundle has no prometheus/prometheus.yml"
    )
    assert wired(FLEET, machine("a"), install(text="[")) == ["internal error, ParserError: report it"]
    assert wired(machine("a"), install("a")) == []


def test_a_bundle_that_only_up_knows_is_noted() -> None:
    later = resource({"role": "gateway", "bundle": UNKNOWN_STRING_VALUE}, INSTALL, f"{STACK}{INSTALL}::r")
    with pytest.raises(UnknownValueError):
        wired(FLEET, later)


# --- self-check, waivers, contracts ----------------------------------------------------------------------------------


def test_disabled_and_downgraded_rules_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, in the order of the registry; advisory rules may be what they like."""
    assert found("self-check", {}, names.STACK) == []
    mandatory = registry.codes().mandatory
    levels = {"budget": "disabled", "capacity": "advisory", "advisories": "disabled", "redundancy": "remediate"}
    monkeypatch.setattr(self_check, "complaints", list(self_check.weakened(levels, mandatory)))
    assert found("self-check", {}, names.STACK) == [
        "the policy configuration makes mandatory rules disabled: budget",
        "the policy configuration makes mandatory rules advisory: capacity",
    ]
    (text,) = self_check.weakened(dict.fromkeys(mandatory, "disabled"), mandatory)
    assert "disabled (every one of them): break-even, " in text
    assert list(self_check.weakened({}, mandatory)) == []


def test_a_waived_violation_is_shown_and_does_not_block(pack: Path) -> None:
    """By the advisory rule, with who, why and until when; nothing else of the resource is."""
    world = {"ingress": [{"cidrBlocks": ["0.0.0.0/0"]}], "tags": TAGS}
    waive(pack, "ingress-closed")
    assert found("ingress-closed", world, GROUP) == []
    RULES["ingress-closed"].waived.clear()  # type: ignore[attr-defined]
    (text,) = shown(world, GROUP)
    assert text.startswith("WAIVED ingress-closed: it admits 0.0.0.0/0")
    assert text.endswith("Waived until 2026-12-01 by b, a mends it: r (T-1).")
    assert shown(CLOSED[GROUP] | {"tags": TAGS}, GROUP) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expires": "2026-11-21"}, "The waiver T-1 of a expired on 2026-11-21."),
        ({"created": "2026-11-23"}, "The waiver T-1 begins on 2026-11-23."),
        ({"urn": "*::other"}, "as good as the world"),
        ({"stack": "prod"}, "as good as the world"),
        ({"approver": "a"}, "(waivers.yaml:1: approver: must not be the owner: somebody else allows it)"),
    ],
)
def test_a_waiver_that_does_not_hold_blocks(pack: Path, change: dict[str, Any], words: str) -> None:
    """Expired, not begun, of another resource or stack, or in a file that cannot be used."""
    waive(pack, "ingress-closed", **change)
    (text,) = found("ingress-closed", {"ingress": [{"cidrBlocks": ["0.0.0.0/0"]}]}, GROUP)
    assert text.endswith(words)


def test_a_waived_verdict_passes_and_a_bad_file_fails_every_rule(pack: Path, ladder: Build) -> None:
    """The Fleet's rules take waivers with the verdict."""
    inputs = ladder(volume="500e6").to_inputs()
    waive(pack, "break-even")
    assert found("break-even", inputs, FLEET_TYPE) == []
    assert found("probability", inputs, FLEET_TYPE)[0].startswith("BLOCK probability: ")
    assert "WAIVED break-even: " in shown(inputs, FLEET_TYPE)[0]
    (pack / "waivers.yaml").write_text("- 3")
    standing_waivers.cache_clear()
    gate._judge.cache_clear()
    assert found("capacity", inputs, FLEET_TYPE) == ["cannot evaluate: waivers.yaml:1: expected a map of keys, got 3"]


def test_waivers_of_the_whole_stack_and_unused_ones_are_shown(pack: Path) -> None:
    """The advisory rule on the stack is asked after the others."""
    root = StackValidationArgs([resource({}, names.STACK, f"{STACK}pulumi:pulumi:Stack::crossover-local")])
    waive(pack, "monitoring-wired")
    assert wired(FLEET, machine("a")) == []
    assert reports(RULES["waivers"], root)[0].startswith("WAIVED monitoring-wired: no gateway is installed")
    waive(pack, "ownership-tags")
    assert wired(FLEET) != []
    assert reports(RULES["waivers"], root) == [
        "The waiver T-1 of ownership-tags is not used: nothing violates it; remove it."
    ]


SERVED: dict[str, Any] = {"workload": {"model": "meta-llama/Llama-3.1-70B-Instruct"}}
"""On 8 × A100 80 GB it is served at 6,704.36 tokens/s at 3:1."""


def test_a_price_of_the_fleets_own_needs_a_contract(
    quotation: Build, monkeypatch: pytest.MonkeyPatch, catalogue: Any
) -> None:
    """A row of kind contract with the same price, and a throughput as large; a cent less is refused, and so is a
    node that serves more than is known."""
    inputs = quotation(**SERVED).to_inputs()
    (text,) = found("capacity", inputs, FLEET_TYPE)
    assert text.startswith("cannot evaluate: crossover:fleet: usdPerNodeMonth and tokensPerSecond are its own")
    contract(monkeypatch, catalogue)
    assert found("capacity", inputs, FLEET_TYPE) == []
    faster = quotation(fleet={"tokensPerSecond": 6705}, **SERVED).to_inputs()
    assert len(found("capacity", faster, FLEET_TYPE)) == 1
    cheaper = quotation(fleet={"usdPerNodeMonth": 7919}, **SERVED).to_inputs()
    assert len(found("capacity", cheaper, FLEET_TYPE)) == 1


@pytest.mark.parametrize(
    "terms",
    [
        {"terms": "reserved", "commitment_months": 12, "upfront_usd": Decimal(1_200_000)},
        {"terms": "spot", "interruption_loss": Decimal("0.9")},
    ],
)
def test_a_contract_with_terms_does_not_stand_for_a_price_of_the_fleets_own(
    quotation: Build, monkeypatch: pytest.MonkeyPatch, catalogue: Any, terms: dict[str, Any]
) -> None:
    """What is paid up front or lost is reckoned with where the fleet names the row."""
    contract(monkeypatch, catalogue, **terms)
    assert len(found("capacity", quotation(**SERVED).to_inputs(), FLEET_TYPE)) == 1


def test_a_contract_ages_as_a_price_does(quotation: Build, monkeypatch: pytest.MonkeyPatch, catalogue: Any) -> None:
    """180 days before 2026-11-22 is 2026-05-26."""
    inputs = quotation(**SERVED).to_inputs()
    contract(monkeypatch, catalogue, date=date(2026, 5, 26))
    assert found("price-fresh", inputs, FLEET_TYPE) == []
    contract(monkeypatch, catalogue, date=date(2026, 5, 25))
    (text,) = found("price-fresh", inputs, FLEET_TYPE)
    assert "rests on the contract C-7 (quoted/lambda-8x-a100-80gb) as of 2026-05-25, over 180 days ago" in text


def contract(monkeypatch: pytest.MonkeyPatch, catalogue: Any, **change: Any) -> None:
    """The row of the fleet's own price is a contract's, changed."""
    key = "quoted/lambda-8x-a100-80gb"
    given = {"kind": "contract", "contract": "C-7", "date": date(2026, 11, 1), **change}
    row = catalogue.prices[key].model_copy(update=given)
    signed = copy.copy(catalogue)
    object.__setattr__(signed, "prices", {**catalogue.prices, key: row})
    monkeypatch.setattr(gate, "load_catalogue", lambda: signed)
    gate._judge.cache_clear()


class Listed(NoConfig):
    """A rule's configuration with a list."""

    regions: tuple[str, ...] = ("us-east-1",)


def test_a_rule_may_be_configured_with_a_list() -> None:
    """The schema for the engine is Pydantic's own."""
    toy = ResourceRule(
        code="x",
        position=1,
        severity=Severity.LOW,
        demand="d",
        remedy="r",
        looks_at=("*",),
        check=lambda args, config: config.regions,
        config=Listed,
    )
    made = policy_of(toy)
    assert made.config_schema is not None
    assert made.config_schema.properties is not None
    assert made.config_schema.properties["regions"]["items"] == {"type": "string"}
    assert [text for text in asked(made, {"regions": ["a", "b"]})] == ["a", "b"]  # noqa: C416


def asked(policy: Any, config: dict[str, Any]) -> list[str]:
    return reports(policy, args({}, "some:index:Thing", config=config))


def test_what_the_catalogue_or_the_inputs_lack_is_told_and_is_no_internal_error(
    ladder: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken price row and a misspelt key, by the rules of the verdict and by spot-share."""
    misspelt = {**ladder().to_inputs(), "workloads": {}}
    assert found("spot-share", misspelt, FLEET_TYPE)[0].startswith("cannot evaluate: crossover:workloads: unknown key")

    def broken() -> None:
        raise CatalogueError("prices.toml:9: a/b.source: missing")

    monkeypatch.setattr(gate, "load_catalogue", broken)
    gate._judge.cache_clear()
    for code in ("break-even", "spot-share"):
        said = found(code, ladder().to_inputs(), FLEET_TYPE)
        assert said == ["cannot evaluate: prices.toml:9: a/b.source: missing"]
