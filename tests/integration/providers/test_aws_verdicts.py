"""What `crossover doctor` says of a stack at AWS, and what `up` does, against moto: they never differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from providers.base import Candidate, Owner
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.config import AwsConfig
from providers.clouds.aws.preflight import checks as doctor
from providers.clouds.aws.preflight.tries import Tries
from providers.clouds.aws.preflight.way_in import THIS, Runner
from providers.clouds.aws.resources.survey import survey
from providers.errors import Unauthorized
from providers.preflight import Grade, Plan
from providers.renting.naming import mark
from tests.support.mocks import Monitor, current_loop
from tests.support.moto import Moto, running

REGION = "us-east-1"
P, STANDARD = "L-417A185B", "L-1216C47A"
GPU, SMALL = "p4de.24xlarge", "c7i.large"
ELSEWHERE, HERE = "us-east-1a", "us-east-1b"
"""Zones of moto's: one that does not offer p4de, and one that does, as does us-east-1c."""
SECTION: dict[str, Any] = {"region": REGION, "access": {"ssh": {"cidrs": ["203.0.113.0/24"]}}}
ADMITTED = Runner(lambda: "203.0.113.7", THIS.has)


@dataclass
class Client(AwsClient):
    """Refuses one operation, and remembers all."""

    refuses: str = ""
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(AwsConfig())

    def ask(self, service: str, operation: str, region: str, **arguments: Any) -> dict[str, Any]:
        self.asked.add(operation)
        if operation == self.refuses:
            raise Unauthorized(f"aws {region}: the credentials lack the right {operation}")
        return super().ask(service, operation, region, **arguments)


@dataclass
class World:
    """An account, and a stack that is wanted there."""

    moto: Moto
    client: Client
    nodes: dict[str, str] = field(default_factory=lambda: {"a": GPU, "b": GPU})
    """Key → type."""
    section: dict[str, Any] = field(default_factory=lambda: dict(SECTION))
    generations: dict[str, int] = field(default_factory=dict)
    region: str = REGION
    launched: list[str] = field(default_factory=list)

    def call(self, operation: str, **arguments: Any) -> Any:
        return self.client.ask("ec2", operation, REGION, **arguments)

    def runs(self, key: str, zone: str, project: str = "p") -> None:
        """A machine of the project's stack is there."""
        told = {
            "crossover:mark": mark(Owner(project, "s", "inference", key, 1)),
            "crossover:fleet": f"{project}:s:inference",
        }
        tags = [{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in told.items()]}]
        made = self.call(
            "run_instances", ImageId=self.moto.stand_in.image, InstanceType=GPU, MinCount=1, MaxCount=1,
            Placement={"AvailabilityZone": zone}, TagSpecifications=tags,
        )  # fmt: skip
        self.launched.append(made["Instances"][0]["InstanceId"])

    def vpc(self, zone: str, host_names: bool = True) -> dict[str, Any]:
        """The settings that name a VPC with a subnet in that zone."""
        vpc = self.call("create_vpc", CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        self.call("modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": host_names})
        subnet = self.call("create_subnet", VpcId=vpc, CidrBlock="10.1.0.0/24", AvailabilityZone=zone)["Subnet"]
        return {"vpcId": vpc, "subnetIds": [subnet["SubnetId"]]}

    def reserved(self, sku: str, zone: str, state: str = "active") -> dict[str, Any]:
        """The settings that name a reservation of that type in that zone."""
        made = self.call(
            "create_capacity_reservation", InstanceType=sku, AvailabilityZone=zone, InstancePlatform="Linux/UNIX",
            InstanceCount=2,
        )["CapacityReservation"]["CapacityReservationId"]  # fmt: skip
        if state == "cancelled":
            self.call("cancel_capacity_reservation", CapacityReservationId=made)
        return {"capacityReservationId": made, "zones": [HERE]}

    @property
    def plan(self) -> Plan:
        wanted = {key: Candidate("aws", self.region, sku) for key, sku in self.nodes.items()}
        wanted["gateway"] = Candidate("aws", REGION, SMALL)
        return Plan("p", "s", wanted, self.section, 1, self.generations)

    def doctor(self) -> list[str]:
        """What it says stands in the way."""
        found = doctor.checks(self.client, self.plan, ADMITTED)
        return [check.detail for check in found if check.level is Grade.FAIL]

    def up(self, tries: Tries) -> str:
        """What it was refused with; nothing where it goes on."""
        try:
            mocks.test(lambda: survey(self.plan, tries, self.client) and None)()  # type: ignore[no-untyped-call]
        except pulumi.RunError as e:
            return str(e)
        return ""


class Nothing(mocks.Mocks):
    """Makes what it is told, and nothing is asked through the plugin."""

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        assert args.typ == "pulumi:providers:aws"
        return args.name, args.inputs


@pytest.fixture(scope="module")
def account() -> Iterator[tuple[Moto, Client]]:
    """One for all: its tables of images and types take seconds."""
    with running() as moto, pytest.MonkeyPatch.context() as patch:
        for name, value in moto.environment.items():
            patch.setenv(name, value)
        client = Client()
        moto.stand_in.image = client.ask("ec2", "describe_images", REGION)["Images"][0]["ImageId"]
        yield moto, client


@pytest.fixture
def world(account: tuple[Moto, Client], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    moto, client = account
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # so that there is no program of a session's
    moto.stand_in.vcpus = {P: 192, STANDARD: 64}
    found = World(moto, client)
    with current_loop():
        mocks.set_mocks(nothing := Nothing(), project="p", stack="s", monitor=Monitor(nothing))
        yield found
    found.client.refuses = ""
    if found.launched:
        found.call("terminate_instances", InstanceIds=found.launched)


def limit(world: World) -> None:
    world.moto.stand_in.vcpus[P] = 96


def others(world: World) -> None:
    world.runs("x", HERE, "another")


def own_runs(world: World) -> None:
    world.runs("a", HERE)


def both_run_beside_others(world: World) -> None:
    for key, zone in (("a", HERE), ("b", "us-east-1c")):
        world.runs(key, zone)
    others(world)


def both_raised(world: World) -> None:
    for key, zone in (("a", HERE), ("b", "us-east-1c")):
        world.runs(key, zone)
    world.generations = {"a": 2, "b": 2}


def three(world: World) -> None:
    world.moto.stand_in.vcpus[P] = 960
    world.nodes["c"] = GPU


def only(sku: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.nodes = {"a": sku}

    return change


def setting(**values: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.nodes = {"a": GPU}
        world.section |= values

    return change


def made(make: Callable[[World], dict[str, Any]]) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.nodes = {"a": GPU}
        world.section |= make(world)

    return change


def of_another_region(world: World) -> None:
    world.region = "us-west-2"


def of_another_vpc(world: World) -> None:
    world.nodes = {"a": GPU}
    world.section |= {**world.vpc(HERE), "vpcId": world.vpc(HERE)["vpcId"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: None, ""),
        (own_runs, ""),
        (limit, "96 vCPU; the stack needs 192"),
        (others, "192 vCPU; the stack needs 192, and 96 run there besides"),
        (both_run_beside_others, ""),
        (both_raised, "those of a, b are raised at once"),
        (three, "3 nodes do not fit into us-east-1b, us-east-1c"),
        (only("p4e.24xlarge"), "not offered in us-east-1"),
        (only("m7g.large"), "it is arm64"),
        (of_another_region, "us-west-2; the stack's is us-east-1"),
        (setting(zones=[ELSEWHERE]), "clouds.aws.zones names us-east-1a"),
        (setting(zones=[HERE]), ""),
        (setting(ami="ami-0123456789abcdef0"), "the account sees no image ami-0123456789abcdef0 here"),
        (setting(access="ssm"), "access is ssm, and aws and session-manager-plugin is missing here"),
        (setting(acess="ssm"), "clouds.aws.acess: unknown key"),
        (setting(vpcId="vpc-0123456789abcdef0", subnetIds=["subnet-0123456789abcdef0"]), "vpc-0123456789abcdef0"),
        (made(lambda world: world.vpc(HERE)), ""),
        (made(lambda world: world.vpc(ELSEWHERE)), "subnetIds lie in us-east-1a"),
        (made(lambda world: world.vpc(HERE, host_names=False)), "has no DNS host names"),
        (of_another_vpc, " and not in vpc-"),
        (setting(capacityReservationId="cr-0123456789abcdef0", zones=[HERE]), "has no cr-0123456789abcdef0"),
        (made(lambda world: world.reserved(GPU, HERE)), ""),
        (made(lambda world: world.reserved("p4d.24xlarge", HERE)), "active, for p4d.24xlarge in us-east-1b"),
        (made(lambda world: world.reserved(GPU, ELSEWHERE)), "active, for p4de.24xlarge in us-east-1a"),
        (made(lambda world: world.reserved(GPU, HERE, "cancelled")), "cancelled, for p4de.24xlarge"),
    ],
)
def test_public_bug_10_what_doctor_passes_up_passes_and_what_it_refuses_up_refuses(
    world: World, change: Callable[[World], None], said: str, tmp_path: Path
) -> None:
    """Public bug 10: they asked AWS by two modules. Doctor knew nothing of images, VPCs, types for other processors and
    generations; `up` knew nothing of what else counts against a quota."""
    change(world)
    told, refused = world.doctor(), world.up(Tries(tmp_path / "zones.json"))
    assert bool(told) == bool(refused) == bool(said)
    assert all(line in refused for line in told)
    assert said in refused


def test_public_bug_10_a_right_that_is_missing_is_told_by_both(world: World, tmp_path: Path) -> None:
    """Public bug 10: whichever of the operations that are asked at all."""
    world.nodes = {"a": GPU}
    world.section |= world.reserved(GPU, HERE)
    world.client.asked.clear()
    assert (world.doctor(), world.up(Tries(tmp_path / "zones.json"))) == ([], "")
    for operation in sorted(world.client.asked):
        world.client.refuses = operation
        told, refused = world.doctor(), world.up(Tries(tmp_path / "zones.json"))
        assert any(f"lack the right {operation}" in line for line in told), operation
        assert f"lack the right {operation}" in refused
    assert len(world.client.asked) >= 7
