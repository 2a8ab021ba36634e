"""The cloud `aws` against moto, which answers as EC2 does: found, priced, looked at before, and ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from images.remote.waiting import Waiting
from providers import registry
from providers.base import Candidate, MachineState, Owner
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.cloud import AwsCloud
from providers.clouds.aws.config import AwsConfig
from providers.clouds.aws.preflight import checks as preflight
from providers.clouds.aws.preflight import way_in
from providers.clouds.aws.preflight.way_in import Runner
from providers.errors import InvalidRequest, NotFound
from providers.plugin.install import InstallHandler
from providers.preflight import Check, Plan
from providers.renting.naming import mark
from scripts.crossover.__main__ import app
from scripts.crossover.doctor import looks as doctor
from scripts.crossover.stack import orphans
from scripts.crossover.stack.state import Known
from tests.support.market import IDENTITY
from tests.support.moto import Moto, running

REGIONS = ("us-east-1", "eu-west-1", "us-west-2")
P, STANDARD = "L-417A185B", "L-1216C47A"
SECTION: dict[str, Any] = {"region": "us-east-1", "access": {"ssh": {"cidrs": ["203.0.113.0/24"]}}}
GPU = Candidate("aws", "us-east-1", "p4de.24xlarge")
SMALL = Candidate("aws", "us-east-1", "c7i.large")
HERE = Runner(lambda: "203.0.113.7", lambda program: True)


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    """Its stand-in answers for quotas, and for the price list, which moto lacks."""
    with running() as found:
        answer = found.stand_in.answer

        def priced(action: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if not action.endswith(".GetProducts"):
                return answer(action, request)
            wanted = {each["Field"]: each["Value"] for each in request["Filters"]}
            usd = {"p4de.24xlarge": "27.4470500000", "c7i.large": "0.0892500000"}.get(wanted["instanceType"])
            terms = {"t": {"priceDimensions": {"d": {"unit": "Hrs", "pricePerUnit": {"USD": usd}}}}}
            products = [
                {"attributes": {"regionCode": region, "locationType": "AWS Region", "marketoption": "OnDemand"}}
                for region in ("us-east-1", "us-west-2")
                if usd
            ]
            documents = [json.dumps({"product": each, "terms": {"OnDemand": terms}}) for each in products]
            return 200, {"FormatVersion": "aws_v1", "PriceList": documents}

        found.stand_in.answer = priced  # type: ignore[method-assign]
        yield found


@pytest.fixture
def cloud(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> AwsCloud:
    for name, value in {**moto.environment, "AWS_ENDPOINT_URL_PRICING": moto.stand_in.url}.items():
        monkeypatch.setenv(name, value)
    moto.stand_in.vcpus = {P: 192, STANDARD: 64}
    config = AwsConfig(regions=REGIONS, endpoint=moto.url)
    return AwsCloud(AwsClient(config, time.monotonic, lambda seconds: None))


def tagged(
    kind: str,
    key: str,
    project: str = "p",
    role: str = "inference",
    ports: str = "ssh=22 vllm=8000",
    stack_id: str = IDENTITY,
) -> list[dict[str, Any]]:
    owner = Owner(project, "s", role, key, 1)
    named = {"Name": key, "crossover:mark": mark(owner), "crossover:fleet": f"{project}:s:{role}"}
    tags = {**named, "crossover:stack-id": stack_id} if stack_id else named
    more = {"crossover:usd-per-hour": "27.447050", "crossover:ports": ports}
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in {**tags, **more}.items()]}]


def launched(
    cloud: AwsCloud, region: str, key: str, project: str = "p", sku: str = "p4de.24xlarge", **marked: str
) -> str:
    """A protected instance, as the program makes them."""
    ask = cloud.account.client.ask
    image = ask("ec2", "describe_images", region)["Images"][0]["ImageId"]
    made = ask(
        "ec2", "run_instances", region, ImageId=image, InstanceType=sku, MinCount=1, MaxCount=1,
        DisableApiTermination=True, TagSpecifications=tagged("instance", key, project, **marked) if project else [],
    )  # fmt: skip
    return str(made["Instances"][0]["InstanceId"])


def test_our_machines_are_found_in_every_region_and_end_protected_as_they_are(cloud: AwsCloud) -> None:
    """And nobody else's: without a mark, or of another project."""
    here, there = launched(cloud, "us-east-1", "a"), launched(cloud, "eu-west-1", "b")
    others = [launched(cloud, "us-east-1", "c", "another"), launched(cloud, "us-east-1", "d", "")]
    found = {m.id: m for m in cloud.list("p")}
    assert set(found) == {here, there}
    assert found[there].owner == Owner("p", "s", "inference", "b", 1, IDENTITY)
    assert (found[there].region, found[there].state) == ("eu-west-1", MachineState.RUNNING)
    assert f"{found[here].usd_per_hour}" == "27.447050"
    assert cloud.get(there) == found[there]
    for machine_id in (here, there):
        cloud.terminate(machine_id)
        cloud.terminate(machine_id)
        with pytest.raises(NotFound):
            cloud.get(machine_id)
    assert cloud.list("p") == []
    left = cloud.account.client.ask("ec2", "describe_instances", "us-east-1", InstanceIds=others)
    states = [i["State"]["Name"] for r in left["Reservations"] for i in r["Instances"]]
    assert states == ["running", "running"]
    for machine_id in others:
        cloud.terminate(machine_id)


def test_a_machine_of_another_process_is_found_by_its_id_alone(cloud: AwsCloud) -> None:
    there = launched(cloud, "eu-west-1", "b")
    fresh = AwsCloud(AwsClient(AwsConfig(regions=REGIONS)))
    assert fresh.get(there).region == "eu-west-1"
    fresh.terminate(there)
    assert cloud.list("p") == []


def test_a_volume_that_outlived_its_machine_bills_and_can_be_deleted(cloud: AwsCloud) -> None:
    """500 GiB of gp3 at 0.08 USD a GiB and month: 40 / 730 USD/h. One that is attached is its machine's."""
    ask = cloud.account.client.ask
    machine = launched(cloud, "us-east-1", "a")
    lone = ask(
        "ec2", "create_volume", "eu-west-1", AvailabilityZone="eu-west-1a", Size=500, VolumeType="gp3",
        TagSpecifications=tagged("volume", "a"),
    )["VolumeId"]  # fmt: skip
    billed = {m.id: m for m in cloud.billed("p")}
    assert set(billed) == {machine, lone}
    assert (billed[lone].sku, f"{billed[lone].usd_per_hour:.6f}") == ("gp3 500 GiB", "0.054795")
    assert [m.id for m in cloud.list("p")] == [machine]
    cloud.terminate(lone)
    cloud.terminate(lone, age_s=cloud.visibility_s)  # too old to be hidden: it is gone at once
    assert [m.id for m in cloud.billed("p")] == [machine]
    cloud.terminate(machine)


@pytest.fixture
def prod(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """AWS is all clouds that there are, and the state of stack `s` knows these resource ids."""
    known: set[str] = set()
    monkeypatch.setattr(registry, "CLOUDS", {"aws": registry.CloudRow(lambda: cloud)})
    monkeypatch.setattr(orphans, "project", lambda: "p")
    monkeypatch.setattr(orphans, "stacks", lambda: ["s"])
    monkeypatch.setattr(orphans, "known_machines", lambda stack: Known(frozenset(known), False, IDENTITY))
    return known


def test_orphans_at_aws_are_told_with_price_and_age_and_ended_though_protected(cloud: AwsCloud, prod: set[str]) -> None:
    """The machine in the state stays, whatever region the others are in."""
    kept, lost = launched(cloud, "us-east-1", "a"), launched(cloud, "eu-west-1", "b")
    prod.add(f"aws/{kept}")
    run = CliRunner()
    shown = run.invoke(app, ["orphans"])
    assert (shown.exit_code, f"aws/{lost}" in shown.stdout, kept in shown.stdout) == (1, True, False)
    assert "1 orphan(s) at 27.45 USD/h; 1 machine(s) known to a state" in shown.stdout
    ended = run.invoke(app, ["orphans", "--terminate", "--yes"])
    assert (ended.exit_code, f"ended aws/{lost}" in ended.stdout) == (0, True)
    assert [m.id for m in cloud.billed("p")] == [kept]
    prod.clear()
    assert run.invoke(app, ["orphans", "--terminate", "--yes", "--json"]).exit_code == 0
    assert cloud.billed("p") == []


def test_machines_at_aws_of_another_stack_of_that_name_are_shown_and_never_ended(
    cloud: AwsCloud, prod: set[str]
) -> None:
    """Audit 4: by the tag that tells the identity; one of before has none, and nobody can tell."""
    theirs = launched(cloud, "us-east-1", "a", stack_id="0badcafe")
    before = launched(cloud, "eu-west-1", "b", stack_id="")
    told = CliRunner().invoke(app, ["orphans", "--terminate", "--yes"])
    assert f"aws/{theirs} is somebody else's: its identity is 0badcafe" in told.stderr
    assert f"aws/{before} is unknown: it was launched before stacks had identities" in told.stderr
    assert {m.id for m in cloud.billed("p")} == {theirs, before}
    for machine_id in (theirs, before):
        cloud.terminate(machine_id)


class Drained:
    """An installer that only says what it was asked to hold out of rotation, and where."""

    def __init__(self) -> None:
        self.gateways: list[dict[str, Any]] = []

    def install(self, news: Any, previous_private_key: str | None, waiting: Waiting) -> dict[str, str]:
        return {}

    def inspect(self, olds: Any, waiting: Waiting) -> list[str]:
        return []

    def remove(self, olds: Any, waiting: Waiting) -> None:
        """Does nothing."""

    @contextmanager
    def out_of_rotation(
        self, gateway: Any, node: str, private_keys: Any, waiting: Waiting
    ) -> Iterator[Callable[[], None]]:
        self.gateways.append({"node": node, **gateway})
        yield lambda: None

    def missing(self, gateway: Any, secret: str, private_keys: Any, waiting: Waiting) -> str:
        return ""


def test_a_node_at_aws_leaves_the_rotation_of_its_gateway_at_aws(cloud: AwsCloud, prod: set[str]) -> None:
    """Both are found by their marks; the gateway by its port, which its tag tells."""
    node = launched(cloud, "us-east-1", "a")
    gateway = launched(cloud, "us-east-1", "gateway", sku="c7i.large", role="gateway", ports="endpoint=8443 ssh=22")
    installer = Drained()
    machine = {
        "machine": {"id": f"aws/{node}"},
        "role": "inference",
        "fleet": "f",
        "stackId": IDENTITY,
        "serverName": "a",
        "bundle": {},
        "sshPrivateKey": "k",
    }
    InstallHandler(installer, registry.cloud, ("aws",)).update("id", machine, machine, Waiting())
    [told] = installer.gateways
    assert (told["node"], told["id"], told["ports"]) == ("a", f"aws/{gateway}", {"endpoint": 8443, "ssh": 22})
    assert told["address"].endswith(".amazonaws.com")
    for machine_id in (node, gateway):
        cloud.terminate(machine_id)


def test_offers_tell_regions_zones_and_list_prices_and_not_what_is_free(cloud: AwsCloud) -> None:
    """moto has EC2's own tables of types and zones; the price list has one region."""
    found = {(o.region, o.sku): o for o in cloud.offers()}
    offer = found["us-east-1", "p4de.24xlarge"]
    assert (offer.gpus, offer.gpu_memory_gib, offer.zones) == (8, 80, ("us-east-1b", "us-east-1c"))
    assert (f"{offer.usd_per_hour:.6f}", offer.available) == ("27.447050", None)
    assert found["us-east-1", "p4d.24xlarge"].gpu_memory_gib == 40
    assert found["us-east-1", "p4d.24xlarge"].usd_per_hour is None
    assert {region for region, _ in found} <= set(REGIONS)


def test_a_stacks_own_types_are_told_by_name_and_a_misspelt_one_with_all_others(cloud: AwsCloud) -> None:
    [small] = cloud.offers_of([("us-east-1", "c7i.large")])
    assert (small.sku, small.gpus, f"{small.usd_per_hour:.5f}") == ("c7i.large", 0, "0.08925")
    others = {o.sku for o in cloud.offers_of([("us-east-1", "p4dx.24xlarge")])}
    assert "p4dx.24xlarge" not in others
    assert "p4d.24xlarge" in others
    with pytest.raises(InvalidRequest, match=r"has not enabled the region us-east-7.*choose one of us-east-1"):
        cloud.offers_of([("us-east-7", "c7i.large")])


def checks(cloud: AwsCloud, runner: Runner = HERE, nodes: str = "ab", per_zone: int = 1, **change: Any) -> list[Check]:
    wanted = {**dict.fromkeys(nodes, GPU), "gateway": SMALL}
    return preflight.checks(cloud.account.client, Plan("p", "s", wanted, {**SECTION, **change}, per_zone), runner)


def told(found: list[Check]) -> dict[str, str]:
    return {check.name: f"{check.level}: {check.detail}" for check in found}


def test_all_well_before_money_is_spent(cloud: AwsCloud) -> None:
    """2 × 96 vCPU of P, 2 of the gateway's."""
    found = checks(cloud)
    assert {check.level for check in found} == {"ok"}
    by_name = told(found)
    assert by_name[f"aws quota {P}, Running On-Demand P instances, us-east-1"] == "ok: 192 vCPU; the stack needs 192"
    assert by_name["aws account"].startswith("ok: 123456789012 as arn:")
    assert by_name["aws way in"] == "ok: ssh from 203.0.113.7, which access.ssh.cidrs admits"


def test_what_runs_besides_counts_against_the_quota_and_the_stacks_own_does_not(cloud: AwsCloud) -> None:
    """A p4de has 96 vCPU: 192 + 96 > 192."""
    own, other = launched(cloud, "us-east-1", "a"), launched(cloud, "us-east-1", "x", "another")
    [quota] = [c for c in checks(cloud) if P in c.name]
    assert quota.detail == "192 vCPU; the stack needs 192, and 96 run there besides"
    assert (quota.level, quota.remedy.split()[-1]) == ("fail", "288")
    assert "aws service-quotas request-service-quota-increase --region us-east-1" in quota.remedy
    for machine_id in (own, other):
        cloud.terminate(machine_id)


def test_a_quota_too_low_for_the_stack_fails_and_a_capacity_block_is_outside_it(cloud: AwsCloud, moto: Moto) -> None:
    moto.stand_in.vcpus[P] = 96
    assert [c.level for c in checks(cloud) if P in c.name] == ["fail"]
    block: dict[str, Any] = {"capacityBlockId": "cr-0123456789abcdef0", "zones": ["us-east-1b"]}
    assert [c.name for c in checks(cloud, **block) if P in c.name] == []


def test_zones_that_have_no_room_fail(cloud: AwsCloud) -> None:
    """us-east-1b and us-east-1c offer p4de.24xlarge."""
    name = "aws zones of p4de.24xlarge"
    full = told(checks(cloud, nodes="abc"))["aws places"]
    assert full.startswith("fail: 3 nodes do not fit into us-east-1b, us-east-1c with at most 1 in a zone")
    assert "aws places" not in told(checks(cloud, nodes="abc", per_zone=2))
    elsewhere = told(checks(cloud, zones=["us-east-1a"]))[name]
    assert elsewhere == "fail: offered in us-east-1b, us-east-1c; clouds.aws.zones names us-east-1a"
    assert "aws region of a" in told(checks(cloud, region="eu-west-1"))


def test_doctor_looks_at_the_example_before_anything_is_made(
    cloud: AwsCloud, moto: Moto, prod: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three p4de: 288 vCPU, in the zones of moto's that offer them, below their ceiling, at the catalogue's price."""
    monkeypatch.setenv("CROSSOVER_TODAY", "2026-11-22")
    monkeypatch.setattr(doctor, "pulumi", lambda *arguments: "v3.259.0\n")
    monkeypatch.setattr(doctor, "_state", lambda stack: [])
    monkeypatch.setattr(way_in, "THIS", HERE)
    moto.stand_in.vcpus[P] = 288
    found = {c["name"]: c for c in json.loads(CliRunner().invoke(app, ["doctor", "-s", "aws", "--json"]).stdout)}
    assert {name for name, check in found.items() if check["level"] == "fail"} == set()
    assert found["cloud aws"]["detail"] == "answers: 2 offers, what is free only a launch tells"
    assert found["aws/us-west-2/p4de.24xlarge"]["detail"] == (
        "offered at 27.44705 USD/h, ceiling 28; the gate reckons 27.45 of 2026-11-09: +0 %"
    )
    assert found["aws/us-west-2/c7i.large"]["level"] == "ok"
    assert found[f"aws quota {P}, Running On-Demand P instances, us-west-2"]["detail"].endswith("the stack needs 288")
    assert found["aws way in"]["level"] == "ok"
    assert found["way out to aws"]["level"] == "ok"


def offline() -> str:
    raise OSError("no route")


@pytest.mark.parametrize(
    ("runner", "access", "line"),
    [
        (Runner(lambda: "198.51.100.1", bool), SECTION["access"], "fail: this computer comes from 198.51.100.1, and"),
        (Runner(offline, bool), SECTION["access"], "warn: machines admit 203.0.113.0/24; this computer's public"),
        (Runner(offline, bool), "ssm", "ok: ssm: aws and session-manager-plugin are there"),
        (Runner(offline, lambda p: p == "aws"), "ssm", "fail: access is ssm, and session-manager-plugin is missing"),
    ],
)
def test_the_runners_way_in(cloud: AwsCloud, runner: Runner, access: Any, line: str) -> None:
    assert told(checks(cloud, runner, access=access))["aws way in"].startswith(line)


def test_settings_that_cannot_be_read_are_told_line_by_line(cloud: AwsCloud) -> None:
    found = checks(cloud, region="us-east-7", acess="ssm")
    assert {check.level for check in found} == {"fail"}
    assert any("us-east-7" in check.detail for check in found)
    assert any("clouds.aws.acess: unknown key" in check.detail for check in found)
