"""AWS on the real engine and HashiCorp's real provider against moto: what is created, kept, replaced and left."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Project
from tests.support.aws import PROVIDER, STANDARD, P, Plugin, Region, plugin
from tests.support.moto import running
from tests.support.session_manager import SessionManager

SETTINGS: dict[str, Any] = {
    "region": "us-east-1",
    "access": {"ssh": {"cidrs": ["203.0.113.7/32"]}},
    "clientCidrs": ["198.51.100.0/24"],
    "weightsBucket": "weights/llama-70b",
}
PROGRAM = """
    from decimal import Decimal
    import pulumi
    from providers.clouds.aws.resources.network import AwsNetwork
    from providers.clouds.aws.resources.node import AwsNode
    from providers.clouds.aws.preflight.tries import Tries
    from providers.clouds.aws.resources.survey import survey
    from providers.base import Candidate
    from providers.preflight import Plan
    from providers.resources import Credentials, Install

    gpu = Candidate("aws", "us-east-1", "{sku}")
    small = Candidate("aws", "us-east-1", "m7i.large")
    wanted = {{**{{key: gpu for key in {keys}}}, "gateway": small}}
    plan = Plan(pulumi.get_project(), pulumi.get_stack(), wanted, {settings}, {max_per_zone})
    found = survey(plan, Tries.of(plan.project, plan.stack))
    credentials = Credentials("credentials", nodes=["a"], generation={credentials_generation}, retired={retired})
    ports = {{"ssh": 22, "vllm": 8000}}
    gateway_ports = {{"ssh": 22, "endpoint": 8080, "redis": 6379}}
    network = AwsNetwork("aws", found, node_ports=ports, gateway_ports=gateway_ports,
                         ssh_public_key=credentials.sshPublicKey)
    for key in {keys}:
        node = AwsNode(key, network, key=key, role="inference", candidate=gpu, ports=ports,
                        usd_per_hour=Decimal("27.447050"), ssh_private_key=credentials.sshPrivateKey,
                        stack_id=credentials.stack_id, generation={generation})
        Install(key + "-install", machine=node.machine, role="inference", fleet="f", server_name=key, bundle={{"v": 1}},
                secrets={{"k": "v"}}, ssh_private_key=credentials.sshPrivateKey, stack_id=credentials.stack_id,
                opts=pulumi.ResourceOptions(deleted_with=node.instance))
        pulumi.export(key, node.machine)
        pulumi.export(key + "-domain", node.failureDomain)
        pulumi.export(key + "-price", node.usdPerHour)
    gateway = AwsNode("gateway", network, key="gateway", role="gateway", candidate=small, ports=gateway_ports,
                       usd_per_hour=Decimal("0.1008"), ssh_private_key=credentials.sshPrivateKey,
                       stack_id=credentials.stack_id)
    pulumi.export("gateway", gateway.machine)
"""


OF_BEFORE = """
    from providers.clouds.aws.resources import network as of_now

    class Before(of_now.AwsNetwork):
        def _group(self, role, vpc_id, ingress):
            return super()._group(role, vpc_id, [rule for rule in ingress if not rule.self])

    of_now.AwsNetwork = Before

    from types import SimpleNamespace
    from providers.clouds.aws.resources import node as node_of_now

    instance = node_of_now.aws.ec2.Instance

    def without_identity(name, **inputs):
        del inputs["tags"]["crossover:stack-id"], inputs["root_block_device"]["tags"]["crossover:stack-id"]
        return instance(name, **inputs)

    node_of_now.aws = SimpleNamespace(ec2=SimpleNamespace(Instance=without_identity))
"""
"""A stack of before nodes reached one another's SSH, and of before identities."""


def program(
    keys: tuple[str, ...] = ("a", "b"),
    generation: int = 1,
    credentials_generation: int = 1,
    sku: str = "p4de.24xlarge",
    max_per_zone: int = 1,
    **settings: Any,
) -> str:
    return PROGRAM.format(
        keys=keys,
        generation=generation,
        credentials_generation=credentials_generation,
        retired=max(0, credentials_generation - 2),
        sku=sku,
        max_per_zone=max_per_zone,
        settings={**SETTINGS, **settings},
    )


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    return plugin(tmp_path_factory.mktemp("aws"))


@dataclass(frozen=True)
class Account(Region):
    """A region of moto's, and a project whose AWS it is."""

    project: Project = field(kw_only=True)
    other_image: str = field(kw_only=True)

    def contacts(self, instance: dict[str, Any], tunnel: str = "") -> int:
        """How often the machine was met."""
        return self.project.installs.count(f"contact {instance['InstanceId']} {tunnel}".strip())

    def among_nodes(self) -> set[str]:
        """Ports that the nodes' group opens to itself."""
        (group,) = (g for g in self.groups() if g["Description"] == "crossover inference")
        return {
            str(rule["FromPort"])
            for rule in group["IpPermissions"]
            if group["GroupId"] in [pair["GroupId"] for pair in rule["UserIdGroupPairs"]]
        }

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = self.project.told("stack", "output", "--json")
        return outputs


@pytest.fixture
def account(project: Project, aws: Plugin) -> Iterator[Account]:
    with running() as moto:
        moto.stand_in.vcpus = {P: 192, STANDARD: 64}
        moto.stand_in.image, other_image = Region(moto).images()[:2]
        project.env = {**moto.environment, **aws.environment(project.environment["PATH"])}
        project.leaves = PROVIDER
        yield Account(moto, project=project, other_image=other_image)


OPEN = ("0.0.0.0/0", "::/0")


def test_up_brings_protected_machines_closed_to_the_world_and_destroy_leaves_nothing(account: Account) -> None:
    """VPC to instances as the settings say, an Install on each node, and afterwards an account as empty as before."""
    before = account.things()
    account.project.program(program())
    account.project.up()
    instances = account.instances()
    assert sorted(instances) == ["a", "b", "gateway"]

    outputs = account.outputs()
    for key in ("a", "b"):
        instance, machine = instances[key], outputs[key]
        assert machine["id"] == f"aws/{instance['InstanceId']}"
        assert machine["address"] == instance["PublicDnsName"] != ""
        # Durable and given at first contact: not the one that stands in the user data.
        attribute = account.call(
            "ec2", "describe_instance_attribute", InstanceId=instance["InstanceId"], Attribute="userData"
        )
        launched_with = base64.b64decode(attribute["UserData"]["Value"]).decode()
        assert "ssh-ed25519 " in launched_with
        assert machine["hostKey"].startswith("ssh-ed25519 ")
        assert machine["hostKey"] not in launched_with
        assert account.contacts(instance) == 1
        assert (machine["sshUser"], machine["ports"]) == ("ubuntu", {"ssh": 22, "vllm": 8000})
        assert outputs[f"{key}-domain"] == f"aws/{instance['Placement']['AvailabilityZone']}"
        assert f"end {key} {machine['id']}" in account.project.installs
        options = instance["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 2)
        kept = account.call(
            "ec2", "describe_instance_attribute", InstanceId=instance["InstanceId"], Attribute="disableApiTermination"
        )
        assert kept["DisableApiTermination"]["Value"] is True
    # p4de is offered in two zones of moto's us-east-1: one node each.
    assert {outputs["a-domain"], outputs["b-domain"]} == {"aws/us-east-1b", "aws/us-east-1c"}
    assert outputs["a-price"] == "27.447050"

    volumes = account.call("ec2", "describe_volumes")["Volumes"]
    assert {(v["VolumeType"], v["Encrypted"]) for v in volumes} == {("gp3", True)}
    groups = {g["Description"]: g for g in account.groups()}
    assert not [g for g in groups.values() for r in g["IpPermissions"] if any(c in json.dumps(r) for c in OPEN)]
    (vllm,) = (r for r in groups["crossover inference"]["IpPermissions"] if r["FromPort"] == 8000)
    assert [pair["GroupId"] for pair in vllm["UserIdGroupPairs"]] == [groups["crossover gateway"]["GroupId"]]
    assert vllm["IpRanges"] == []
    (ssh,) = (r for r in groups["crossover inference"]["IpPermissions"] if r["FromPort"] == 22)
    assert [pair["GroupId"] for pair in ssh["UserIdGroupPairs"]] == [groups["crossover inference"]["GroupId"]]
    assert [r["CidrIp"] for r in ssh["IpRanges"]] == ["203.0.113.7/32"]
    assert [g["GroupId"] for g in instances["a"]["SecurityGroups"]] == [groups["crossover inference"]["GroupId"]]
    assert {r["FromPort"] for r in groups["crossover gateway"]["IpPermissions"]} == {22, 8080}

    assert "unchanged" in (again := account.project.up())
    assert not any(word in again for word in (" created", " updated", " replaced", " deleted")), again
    account.project.run("refresh", "--yes", "--skip-preview")
    assert [account.contacts(instance) for instance in instances.values()] == [1, 1, 1]
    exported = account.project.told("stack", "export")
    (contact,) = (r for r in exported["deployment"]["resources"] if r["urn"].endswith("::a-contact"))
    assert "ciphertext" in contact["outputs"]["sshPrivateKey"]
    assert contact["outputs"]["machine"] == outputs["a"]
    assert {key: i["InstanceId"] for key, i in account.instances().items()} == {
        key: i["InstanceId"] for key, i in instances.items()
    }
    account.project.run("destroy", "--yes", "--skip-preview")
    assert account.instances() == {}
    assert account.things() == before
    assert account.project.state() == []


def test_no_edit_replaces_or_stops_a_node_but_a_raised_generation(account: Account) -> None:
    """Each replacing or stopping input is edited: the preview shows no change of an instance, `up` makes none.

    Audit 4: nor does the identity, which machines that are launched later carry."""
    account.project.program(OF_BEFORE + program())
    account.project.up()
    assert account.among_nodes() == set()
    before = {key: i["InstanceId"] for key, i in account.instances().items()}
    groups = {g["GroupId"] for g in account.groups()}
    pinned = {key: account.outputs()[key]["hostKey"] for key in ("a", "b")}
    images = account.images()
    zones: dict[str, Any] = {"zones": ["us-east-1c"], "max_per_zone": 2}
    edited: dict[str, Any] = {
        "ami": images[2],
        "gatewayAmi": images[2],
        **zones,  # zone and subnet
        "sku": "p4d.24xlarge",  # the instance type
        "credentials_generation": 2,  # user data, host key and key pair
        "vpcCidr": "10.99.0.0/16",  # the range of the VPC
    }
    one_of = ({"capacityReservationId": "cr-0123456789abcdef0"}, {"capacityBlockId": "cr-0123456789abcdef0"})
    for at_once in ({**edited, **one_of[0]}, {**edited, **one_of[1]}):
        account.project.program(program(**at_once))
        steps = account.project.told("preview", "--json")["steps"]
        touched = [s["urn"] for s in steps if "aws:ec2/instance:Instance::" in s["urn"] and s["op"] != "same"]
        assert touched == []
    account.project.program(program(ami=images[2], credentials_generation=2, sku="p4d.24xlarge", **zones))
    account.project.up()
    assert {key: i["InstanceId"] for key, i in account.instances().items()} == before
    assert {i["State"]["Name"] for i in account.instances().values()} == {"running"}
    assert account.among_nodes() == {"22"}
    assert {g["GroupId"] for g in account.groups()} == groups
    # The host key of first contact stays pinned, although the credentials are others by now, and nobody is met again.
    assert {key: account.outputs()[key]["hostKey"] for key in ("a", "b")} == pinned
    assert [account.contacts(instance) for instance in account.instances().values()] == [1, 1, 1]

    account.moto.stand_in.image = account.other_image
    account.project.program(program(generation=2, credentials_generation=3))
    account.project.up()
    after = account.instances()
    assert after["gateway"]["InstanceId"] == before["gateway"]
    assert {after[key]["InstanceId"] for key in ("a", "b")}.isdisjoint(before.values())
    told = {key: {t["Key"]: t["Value"] for t in i["Tags"]}.get("crossover:stack-id") for key, i in after.items()}
    credentials = account.project.resource("credentials")["id"].removeprefix("credentials-")
    assert told == {"a": credentials, "b": credentials, "gateway": None}
    # What was kept before applies to the new machine.
    assert {after[key]["ImageId"] for key in ("a", "b")} == {account.other_image}
    (pair,) = account.call("ec2", "describe_key_pairs")["KeyPairs"]
    assert {after[key]["KeyName"] for key in ("a", "b")} == {pair["KeyName"]}
    assert account.outputs()["a"]["hostKey"] != pinned["a"]
    assert [account.contacts(instance) for instance in after.values()] == [1, 1, 1]


def test_a_quota_that_is_too_low_refuses_the_preview_and_up_before_anything_is_created(account: Account) -> None:
    """96 vCPU are one p4de, and two are wanted."""
    before = account.things()
    account.moto.stand_in.vcpus[P] = 96
    account.project.program(program())
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        refused = account.project.run(*command, fails=True)
        assert "Running On-Demand P instances, us-east-1: 96 vCPU; the stack needs 192" in refused
        assert "request-service-quota-increase --region us-east-1 --service-code ec2 --quota-code L-417A185B" in refused
        assert "Traceback" not in refused
    assert account.things() == before
    assert account.project.state() == []


def test_a_node_added_later_goes_where_no_sibling_is(account: Account) -> None:
    """The zones of the machines that exist count, not the order of their keys."""
    account.project.program(program(("b",)))
    account.project.up()
    first = account.outputs()["b-domain"]
    account.project.program(program(("a", "b")))
    account.project.up()
    assert account.outputs()["b-domain"] == first
    assert account.outputs()["a-domain"] != first
    account.project.program(program(("a", "b", "c")))
    account.moto.stand_in.vcpus[P] = 960
    refused = account.project.run("preview", fails=True)
    assert "3 nodes do not fit into us-east-1b, us-east-1c with at most 1 in a zone" in refused


def test_an_existing_vpc_is_used_and_left_and_ssm_opens_no_port(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what the stack made goes with it. First contact and installs are told to come through a session."""
    programs = SessionManager.installed(tmp_path / "ssm", monkeypatch)
    account.project.env["PATH"] = f"{programs.folder}/bin:{account.project.env['PATH']}"
    vpc = account.call("ec2", "create_vpc", CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    account.call("ec2", "modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        account.call(
            "ec2", "create_subnet", VpcId=vpc, CidrBlock=f"10.1.{n}.0/24", AvailabilityZone=f"us-east-1{letter}"
        )["Subnet"]["SubnetId"]
        for n, letter in enumerate("bc")
    ]
    before = account.things()
    account.project.program(program(vpcId=vpc, subnetIds=subnets, access="ssm", clientCidrs=[]))
    account.project.up()
    assert {i["SubnetId"] for i in account.instances().values()} == set(subnets)
    rules = [r for g in account.groups() if g["Description"].startswith("crossover") for r in g["IpPermissions"]]
    assert sorted((r["FromPort"], r["IpRanges"]) for r in rules) == [(22, []), (8000, [])]  # of groups, and no range
    instance = account.instances()["a"]
    tunnel = f"ssm:us-east-1/{instance['InstanceId']}"
    assert account.outputs()["a"]["tunnel"] == tunnel
    assert account.contacts(instance, tunnel) == 1
    attached = [p["PolicyName"] for p in account.call("iam", "list_policies", OnlyAttached=True)["Policies"]]
    assert attached == ["AmazonSSMManagedInstanceCore"]
    account.project.run("destroy", "--yes", "--skip-preview")
    assert account.things() == before
