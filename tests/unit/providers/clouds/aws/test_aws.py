"""AWS's resources on Pulumi's mocks: what is registered, with which options, and what refuses before."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from providers.base import Candidate, Owner
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.config import AwsConfig
from providers.clouds.aws.preflight.tries import Tries
from providers.clouds.aws.resources.network import AwsNetwork
from providers.clouds.aws.resources.node import AwsNode
from providers.clouds.aws.resources.survey import MOST_ATTEMPTS, survey
from providers.errors import Unauthorized
from providers.preflight import Plan
from providers.renting.hostkeys import durable, one_use
from providers.renting.naming import mark
from tests.support.mocks import Monitor, current_loop
from tests.support.session_manager import SessionManager

STACK_ID = "1a2b3c4d"
PRIVATE_KEY = "the stack's private key"
PUBLIC_KEY = "ssh-ed25519 AAAA"
GPU = Candidate("aws", "us-east-1", "p4de.24xlarge")
SMALL = Candidate("aws", "us-east-1", "m7i.large")
SETTINGS: dict[str, Any] = {
    "region": "us-east-1",
    "access": {"ssh": {"cidrs": ["203.0.113.7/32"]}},
    "clientCidrs": ["198.51.100.0/24"],
    "weightsBucket": "weights/llama",
}
NODE_PORTS = {"ssh": 22, "vllm": 8000}
GATEWAY_PORTS = {"ssh": 22, "endpoint": 8080, "redis": 6379}
EXISTING: dict[str, Any] = {"vpcId": "vpc-0123456789abcdef0", "subnetIds": ["subnet-0123456789abcdefb"]}
INSTANCE = "aws:ec2/instance:Instance"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
CONTACT = "gpucloud:index:FirstContact"
SECRET = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a value as secret."""


@dataclass
class Aws(mocks.Mocks):
    """An account; `registered` is all that was created in it, (type, name) → inputs."""

    offers: dict[str, list[str]] = field(
        default_factory=lambda: {
            "p4de.24xlarge": ["us-east-1b", "us-east-1c", "us-east-1-bos-1a"],
            "p4d.24xlarge": ["us-east-1a"],
            "m7i.large": ["us-east-1a", "us-east-1b"],
            "m7g.large": ["us-east-1a"],
        }
    )
    reserved: dict[str, str] = field(
        default_factory=lambda: {
            "State": "active", "InstanceType": "p4de.24xlarge", "AvailabilityZone": "us-east-1b",
        }
    )  # fmt: skip
    quota_vcpus: float = 192
    host_names: bool = True
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    refuses: str = ""
    registered: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"{args.token} is asked through the plugin, and not where doctor asks")

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """What the API says."""
        match operation:
            case "get_caller_identity":
                return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ci"}
            case "describe_instance_type_offerings":
                wanted = [v for f in given["Filters"] for v in f["Values"]] or list(self.offers)
                pairs = [(sku, zone) for sku in wanted for zone in self.offers.get(sku, [])]
                return {"InstanceTypeOfferings": [{"InstanceType": sku, "Location": zone} for sku, zone in pairs]}
            case "describe_instance_types":
                return {"InstanceTypes": [kind(sku) for sku in given["InstanceTypes"]]}
            case "get_service_quota":
                return {"Quota": {"Value": self.quota_vcpus}}
            case "describe_instances":
                return {"Reservations": [{"Instances": list(self.machines.values())}]}
            case "describe_vpc_attribute":
                return {"EnableDnsSupport": {"Value": True}, "EnableDnsHostnames": {"Value": self.host_names}}
            case "describe_subnets":
                there = EXISTING["vpcId"]
                return {
                    "Subnets": [
                        {"SubnetId": i, "VpcId": there, "AvailabilityZone": f"us-east-1{i[-1]}"}
                        for i in given["SubnetIds"]
                    ]
                }
            case "describe_capacity_reservations":
                return {"CapacityReservations": [self.reserved]}
            case "get_parameter":
                return {"Parameter": {"Value": "ami-gpu" if "deeplearning" in given["Name"] else "ami-small"}}
        raise AssertionError(operation)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.registered[args.typ, args.name] = args.inputs
        made: dict[str, Any] = {}
        if args.typ == INSTANCE:
            made = {"publicDns": f"{args.name}.public", "privateIp": "10.0.0.1"}
        if args.typ == CONTACT:
            key = durable(PRIVATE_KEY, args.inputs["name"]).public
            made = {"machine": {**args.inputs["reported"], "hostKey": key, "supervision": "systemd"}}
        return f"{args.name}-id", {**args.inputs, **made}

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Name → inputs, of all that were made of a kind."""
        return {name: inputs for (typ, name), inputs in self.registered.items() if typ == kind}


def kind(sku: str) -> dict[str, Any]:
    """What EC2 says of a type."""
    architecture, vcpus = "arm64" if sku.startswith("m7g") else "x86_64", 96 if sku.startswith("p4") else 2
    return {
        "InstanceType": sku,
        "VCpuInfo": {"DefaultVCpus": vcpus},
        "ProcessorInfo": {"SupportedArchitectures": [architecture]},
    }


def instance(zone: str, generation: int, key: str) -> dict[str, Any]:
    """One of the stack's nodes, as EC2 describes it."""
    told = {"crossover:mark": mark(Owner("p", "s", "inference", key, generation)), "crossover:fleet": "p:s:inference"}
    return {
        "InstanceId": f"i-{key}",
        "InstanceType": "p4de.24xlarge",
        "State": {"Name": "running"},
        "Placement": {"AvailabilityZone": zone},
        "Tags": [{"Key": k, "Value": v} for k, v in told.items()],
    }


class Client(AwsClient):
    """The way to an account of `Aws`."""

    def __init__(self, aws: Aws) -> None:
        super().__init__(AwsConfig())
        self.aws = aws

    def ask(self, service: str, operation: str, region: str, **arguments: Any) -> dict[str, Any]:
        self.aws.asked.append(operation)
        if operation == self.aws.refuses:
            raise Unauthorized(f"aws {region}: the credentials lack the right {operation}")
        return self.aws.answer(operation, arguments)


NOWHERE = Tries(Path(os.devnull) / "zones.json")
"""What is told there is not remembered."""


@pytest.fixture
def aws() -> Iterator[Aws]:
    with current_loop():
        yield Aws()


def run(aws: Aws, program: Callable[[], Any]) -> tuple[Monitor, Any]:
    """Runs a program; what its output came to."""
    monitor = Monitor(aws)
    mocks.set_mocks(aws, project="p", stack="s", monitor=monitor)
    results: list[Any] = []
    mocks.test(lambda: pulumi.Output.from_input(program()).apply(results.append))()  # type: ignore[no-untyped-call]
    return monitor, results[0]


def stack(
    aws: Aws,
    nodes: dict[str, Candidate] | None = None,
    gateway: Candidate | None = SMALL,
    tries: Tries = NOWHERE,
    generations: Mapping[str, int] | None = None,
    **change: Any,
) -> Callable[[], Any]:
    """Nodes a and b and a gateway, as the program makes them; it comes to the nodes' outputs."""
    wanted = {"a": GPU, "b": GPU} if nodes is None else nodes

    def program() -> Any:
        every = wanted if gateway is None else {**wanted, "gateway": gateway}
        found = survey(Plan("p", "s", every, {**SETTINGS, **change}, 1, generations or {}), tries, Client(aws))
        network = AwsNetwork(
            "aws", found, node_ports=NODE_PORTS, gateway_ports=GATEWAY_PORTS, ssh_public_key=PUBLIC_KEY
        )
        made: dict[str, AwsNode] = {}
        for key, candidate in wanted.items():
            made[key] = AwsNode(
                key, network, key=key, role="inference", candidate=candidate, ports=NODE_PORTS,
                usd_per_hour=Decimal("27.447050"), ssh_private_key=PRIVATE_KEY, stack_id=STACK_ID,
                opts=pulumi.ResourceOptions(protect=True),
            )  # fmt: skip
        if gateway is not None:
            made["gateway"] = AwsNode(
                "gateway", network, key="gateway", role="gateway", candidate=gateway, ports=GATEWAY_PORTS,
                usd_per_hour=Decimal("0.1008"), ssh_private_key=PRIVATE_KEY, stack_id=STACK_ID,
            )  # fmt: skip
        parts = {k: {"machine": n.machine, "domain": n.failureDomain, "price": n.usdPerHour} for k, n in made.items()}
        return pulumi.Output.all(**{key: pulumi.Output.all(**part) for key, part in parts.items()})

    return program


def refused(aws: Aws, program: Callable[[], Any]) -> str:
    """The one RunError, before anything but the provider was registered."""
    with pytest.raises(pulumi.RunError) as caught:
        run(aws, program)
    assert set(aws.registered) <= {("pulumi:providers:aws", "aws")}
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_two_nodes_and_a_gateway_are_what_was_asked_for(aws: Aws) -> None:
    """One instance each, apart from one another, with the outputs of a gpucloud Node."""
    _, outputs = run(aws, stack(aws))
    assert set(aws.of(INSTANCE)) == {"a", "b", "gateway"}
    assert {k: o["domain"] for k, o in outputs.items() if k != "gateway"} == {
        "a": "aws/us-east-1b",
        "b": "aws/us-east-1c",
    }
    assert outputs["a"]["price"] == "27.447050"
    name = aws.of(INSTANCE)["a"]["tags"]["Name"]
    assert outputs["a"]["machine"] == {
        "id": "aws/a-id", "address": "a.public", "ports": NODE_PORTS, "listen": NODE_PORTS,
        "bind": "0.0.0.0", "sshUser": "ubuntu",
        "hostKey": durable(PRIVATE_KEY, name).public, "root": "/opt/crossover", "cache": "/var/cache/crossover",
        "supervision": "systemd", "scratch": "/opt/dlami/nvme",
    }  # fmt: skip
    assert "scratch" not in outputs["gateway"]["machine"]
    assert (
        one_use(PRIVATE_KEY, name).public in base64.b64decode(aws.of(INSTANCE)["a"]["userDataBase64"]["value"]).decode()
    )
    tags = aws.of(INSTANCE)["a"]["tags"]
    assert tags["crossover:mark"] == mark(Owner("p", "s", "inference", "a", 1))
    assert tags["crossover:stack-id"] == STACK_ID


def test_public_bug_10_the_next_up_asks_the_next_zone_and_every_request_is_bounded(aws: Aws, tmp_path: Path) -> None:
    """Public bug 10: p4de is offered in b and c; a node that is in none of them after an `up` had no capacity there."""
    tries = Tries(tmp_path / "zones.json", now=iter(range(1, 9)).__next__)
    for zone in ("us-east-1b", "us-east-1c", "us-east-1b"):
        _, outputs = run(aws, stack(aws, {"a": GPU}, gateway=None, tries=tries))
        assert outputs["a"]["domain"] == f"aws/{zone}"
    assert int(aws.registered["pulumi:providers:aws", "aws"]["maxRetries"]) == MOST_ATTEMPTS


def test_public_bug_9_a_second_generation_that_is_raised_at_once_is_refused(aws: Aws) -> None:
    """Public bug 9: AWS' machines are the engine's own resources, which it ends side by side."""
    for key, zone in (("a", "us-east-1b"), ("b", "us-east-1c")):
        aws.machines[key] = instance(zone, 1, key)
    said = refused(aws, stack(aws, generations={"a": 2, "b": 2}))
    assert "aws generations: those of a, b are raised at once" in said
    run(aws, stack(aws, generations={"a": 2}))
    aws.machines["a"] = instance("us-east-1b", 2, "a")
    run(aws, stack(aws, generations={"a": 2, "b": 2}))


def test_subnets_lie_in_the_zones_that_offer_the_type(aws: Aws) -> None:
    """And in the gateway's; Local Zones are none."""
    run(aws, stack(aws))
    zones = [s["availabilityZone"] for s in aws.of("aws:ec2/subnet:Subnet").values()]
    assert sorted(zones) == ["us-east-1a", "us-east-1b", "us-east-1c"]


def test_a_machine_is_protected_encrypted_and_asks_for_a_session_token(aws: Aws) -> None:
    """IMDSv2 alone with two hops, gp3 encrypted, no termination by a slip at the console."""
    run(aws, stack(aws))
    for instance in aws.of(INSTANCE).values():
        assert instance["disableApiTermination"] is True
        assert instance["metadataOptions"] == {
            "httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 2,
        }  # fmt: skip
        assert {k: instance["rootBlockDevice"][k] for k in ("encrypted", "volumeType")} == {
            "encrypted": True, "volumeType": "gp3",
        }  # fmt: skip


def test_nothing_is_open_to_the_world(aws: Aws) -> None:
    """Every rule of every group: vLLM to the gateway's group, the endpoint to clients, port 22 to people, that of nodes
    to nodes."""
    run(aws, stack(aws))
    sources = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "self")
    rules = [
        (name, rule["fromPort"], rule["toPort"], {source: rule[source] for source in sources if rule.get(source)})
        for name, group in aws.of(GROUP).items()
        for rule in group["ingress"]
    ]
    assert sorted(rules, key=repr) == [
        ("gateway-group", 22, 22, {"cidrBlocks": ["203.0.113.7/32"]}),
        ("gateway-group", 8080, 8080, {"cidrBlocks": ["198.51.100.0/24"]}),
        ("inference-group", 22, 22, {"cidrBlocks": ["203.0.113.7/32"]}),
        ("inference-group", 22, 22, {"self": True}),
        ("inference-group", 8000, 8000, {"securityGroups": ["gateway-group-id"]}),
    ]
    assert "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule" not in {typ for typ, _ in aws.registered}
    assert aws.of(INSTANCE)["a"]["vpcSecurityGroupIds"] == ["inference-group-id"]
    assert aws.of(INSTANCE)["gateway"]["vpcSecurityGroupIds"] == ["gateway-group-id"]


def test_ssm_opens_no_way_in_and_grants_its_policy(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes reach one another's SSH all the same, to copy weights. Without `ssm` the policy is not granted; S3 is the
    nodes' alone. Installs are told the way through a session."""
    SessionManager.installed(tmp_path / "ssm", monkeypatch)
    _, outputs = run(aws, stack(aws, access="ssm", clientCidrs=[]))
    assert [outputs[key]["machine"]["tunnel"] for key in ("a", "gateway")] == [
        "ssm:us-east-1/a-id", "ssm:us-east-1/gateway-id"
    ]  # fmt: skip
    assert {instance["tags"]["crossover:way-in"] for instance in aws.of(INSTANCE).values()} == {"ssm"}
    rules = [(rule["fromPort"], rule.get("self")) for group in aws.of(GROUP).values() for rule in group["ingress"]]
    assert sorted(rules) == [(22, True), (8000, None)]
    attached = aws.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    assert {a["policyArn"] for a in attached} == {"arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"}
    (policy,) = aws.of("aws:iam/rolePolicy:RolePolicy").values()
    assert policy["role"] == "inference-role-id"
    assert {s["Action"] for s in json.loads(policy["policy"])["Statement"]} == {"s3:ListBucket", "s3:GetObject"}


def test_ssm_without_its_programs_is_refused_before_anything_is_registered(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    line = refused(aws, stack(aws, access="ssm", clientCidrs=[]))
    assert line.startswith(
        "aws way in: access is ssm, and aws and session-manager-plugin is missing here; install the "
    )


def test_without_bucket_and_ssm_machines_may_do_nothing_at_aws(aws: Aws) -> None:
    """The roles are there, and empty."""
    run(aws, stack(aws, weightsBucket=None))
    assert not aws.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert not aws.of("aws:iam/rolePolicy:RolePolicy")


def test_edits_that_would_replace_or_stop_are_ignored_and_generation_replaces(aws: Aws) -> None:
    """The six of the issue and what else stops; the old machine goes before the new one comes."""
    monitor, _ = run(aws, stack(aws))
    request = monitor.requests[INSTANCE, "a"]
    issue = {"ami", "userData", "userDataBase64", "keyName", "subnetId", "availabilityZone"}
    assert issue | {"instanceType", "capacityReservationSpecification"} <= set(request.ignoreChanges)
    assert request.replacement_trigger.number_value == 1
    assert request.deleteBeforeReplace is True
    assert request.protect is True
    contact = monitor.requests[CONTACT, "a-contact"]
    assert (contact.deleteBeforeReplace, contact.protect) == (True, False)
    assert monitor.requests["aws:ec2/keyPair:KeyPair", "key"].deleteBeforeReplace is False


def test_the_private_keys_are_secrets_and_the_machine_is_none(aws: Aws) -> None:
    """Else they would lie in the state, or hide the whole machine."""
    monitor, _ = run(aws, stack(aws))
    assert SECRET in monitor.requests[INSTANCE, "a"].object.fields["userDataBase64"].struct_value.fields
    contact = monitor.requests[CONTACT, "a-contact"].object.fields
    assert SECRET in contact["sshPrivateKey"].struct_value.fields
    assert contact["reported"].struct_value.fields["address"].string_value == "a.public"


def test_a_quota_too_low_refuses_before_anything_is_registered(aws: Aws) -> None:
    """96 vCPU for each node."""
    aws.quota_vcpus = 96
    line = refused(aws, stack(aws))
    assert line.startswith(
        "aws quota L-417A185B, Running On-Demand P instances, us-east-1: 96 vCPU; the stack needs 192;"
    )
    assert line.endswith("--quota-code L-417A185B --desired-value 192. Nothing was created")


def test_a_capacity_block_is_outside_the_nodes_quota(aws: Aws) -> None:
    """It is paid and set apart; only the gateway counts."""
    aws.quota_vcpus = 2
    change: dict[str, Any] = {"capacityBlockId": "cr-0123456789abcdef0", "zones": ["us-east-1b"]}
    run(aws, stack(aws, {"a": GPU}, **change))
    assert aws.of(INSTANCE)["a"]["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert "instanceMarketOptions" not in aws.of(INSTANCE)["gateway"]
    assert "capacityReservationSpecification" not in aws.of(INSTANCE)["gateway"]


def test_an_existing_vpc_is_used_and_nothing_of_a_network_made(aws: Aws) -> None:
    """Its subnets, in zones that offer the type."""
    run(aws, stack(aws, {"a": GPU}, **EXISTING))
    assert aws.of(INSTANCE)["a"]["subnetId"] == EXISTING["subnetIds"][0]
    assert aws.of(GROUP)["inference-group"]["vpcId"] == EXISTING["vpcId"]
    made = {typ.split(":")[-1] for typ, _ in aws.registered}
    assert made.isdisjoint({"Vpc", "Subnet", "InternetGateway", "RouteTable", "Route"})


def test_only_what_is_wanted_is_made(aws: Aws) -> None:
    """A gateway for nodes elsewhere asks for no GPU, no DLAMI and no quota of P."""
    run(aws, stack(aws, {}))
    assert set(aws.of(INSTANCE)) == {"gateway"}
    assert set(aws.of("aws:iam/role:Role")) == {"gateway-role"}
    assert aws.asked.count("get_service_quota") == aws.asked.count("get_parameter") == 1


def test_a_machine_that_exists_keeps_its_zone_and_its_subnet(aws: Aws) -> None:
    """Also where AWS no longer offers its type; the new one goes elsewhere."""
    aws.machines["b"] = instance("us-east-1b", 1, "b")
    run(aws, stack(aws))
    assert {k: i["availabilityZone"] for k, i in aws.of(INSTANCE).items() if k != "gateway"} == {
        "a": "us-east-1c", "b": "us-east-1b",
    }  # fmt: skip
    aws.registered.clear()
    aws.offers["p4de.24xlarge"] = ["us-east-1c", "us-east-1d"]
    run(aws, stack(aws, {"b": GPU}))
    assert "us-east-1b" in [s["availabilityZone"] for s in aws.of("aws:ec2/subnet:Subnet").values()]


@pytest.mark.parametrize(
    ("candidates", "change", "said"),
    [
        (
            {"a": Candidate("aws", "us-east-1", "p4e.24xlarge")},
            {},
            "zones of p4e.24xlarge: not offered in us-east-1; choose one of p4de.24xlarge",
        ),
        ({"a": Candidate("aws", "us-west-2", "p4de.24xlarge")}, {}, "region of a: us-west-2; the stack's is us-east-1"),
        ({"a": Candidate("aws", "us-east-1", "m7g.large")}, {}, "m7g.large: it is arm64; choose an x86_64 type"),
        ({"a": GPU, "b": GPU, "c": GPU}, {}, "do not fit into us-east-1b, us-east-1c"),
        (
            {"a": GPU},
            {"zones": ["us-east-1a"]},
            "offered in us-east-1b, us-east-1c; clouds.aws.zones names us-east-1a",
        ),
        (
            {"a": Candidate("aws", "us-east-1", "p4d.24xlarge")},
            EXISTING,
            "offered in us-east-1a; subnetIds lie in us-east-1b",
        ),
        ({"a": GPU}, {**EXISTING, "vpcId": "vpc-0123456789abcdef1"}, "is in vpc-0123456789abcdef0 and not in"),
    ],
)
def test_what_cannot_be_placed_is_refused_with_the_way_out(
    aws: Aws, candidates: dict[str, Candidate], change: dict[str, Any], said: str
) -> None:
    """One line, at preview."""
    aws.quota_vcpus = 960
    assert said in refused(aws, stack(aws, candidates, gateway=None, **change))


def test_a_vpc_without_host_names_is_refused(aws: Aws) -> None:
    """The gateway would reach the nodes from outside, where its group does not count."""
    aws.host_names = False
    assert "turn on enableDnsSupport and enableDnsHostnames" in refused(
        aws, stack(aws, {"a": GPU}, gateway=None, **EXISTING)
    )


def test_a_right_that_is_missing_is_named(aws: Aws) -> None:
    """Not a traceback of the engine's."""
    aws.refuses = "get_service_quota"
    line = refused(aws, stack(aws))
    assert line.startswith("aws quota: aws us-east-1: the credentials lack the right get_service_quota; ")


def test_a_price_above_the_ceiling_is_refused(aws: Aws) -> None:
    """AWS bills by its list, so the catalogue's price is the live one."""
    dear = Candidate("aws", "us-east-1", "p4de.24xlarge", Decimal("20"))
    with pytest.raises(pulumi.RunError, match=r"costs \$27.447050/h at AWS, above its maxUsdPerHour of \$20"):
        run(aws, stack(aws, {"a": dear}))
    assert INSTANCE not in {typ for typ, _ in aws.registered}
