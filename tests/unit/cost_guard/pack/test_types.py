"""What a stack may make beside its nodes: types that are made here, priced, or allowed; and what these cost a month."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import PolicyResource, StackValidationArgs
from pulumi_policy.proxy import UNKNOWN_ARRAY_VALUE, UNKNOWN_NUMBER_VALUE, UnknownValueError

from cost_guard.catalogue import catalogue as catalogue_files
from cost_guard.catalogue.catalogue import committed, load_catalogue
from cost_guard.catalogue.resources import AllowedType
from cost_guard.pack import standing
from cost_guard.pack.advisories import policies
from cost_guard.pack.priced import LATER, PRICED, priced_resources_usd_per_month
from cost_guard.pack.resources.type_allowed import MADE
from cost_guard.scenario.scenario import Scenario
from images.sources import REPOSITORY
from strict import names
from strict.toml import CatalogueError, read_rows
from tests.support.rules import STACK, args, reports, resource

pytestmark = pytest.mark.usefixtures("pack")
Build = Callable[..., Scenario]
RULES = {policy.name: policy for policy in policies()}
VOLUME, BALANCER = "aws:ebs/volume:Volume", "aws:lb/loadBalancer:LoadBalancer"
NAT, CLASSIC = "aws:ec2/natGateway:NatGateway", "aws:elb/loadBalancer:LoadBalancer"
VPC, BUCKET = "aws:ec2/vpc:Vpc", "aws:s3/bucketV2:BucketV2"
IN_NETWORK = f"{names.AWS_NETWORK}$"
IN_GATEWAY, IN_FLEET = (f"{parent}${names.AWS_NODE}$" for parent in (names.GATEWAY, names.FLEET))


def made(
    kind: str, props: dict[str, Any] | None = None, chain: str = "", name: str = "it", region: str = "us-east-1"
) -> PolicyResource:
    return resource(props or {}, kind, f"{STACK}{chain}{kind}::{name}", region)


def found(*resources: PolicyResource) -> list[str]:
    return reports(RULES["type-allowed"], StackValidationArgs(list(resources)))


def beside(*resources: PolicyResource) -> list[str]:
    return reports(RULES["beside-nodes"], StackValidationArgs(list(resources)))


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Puts a text in place of allowed-types.toml."""

    def write(text: str) -> None:
        file = tmp_path / "allowed-types.toml"
        file.write_text(text)
        monkeypatch.setattr(catalogue_files, "read_allowed", lambda data: read_rows(file, AllowedType))
        committed.cache_clear()

    yield write
    committed.cache_clear()


ROW = f"""
["{BUCKET}"]
usdPerMonth = 3.5
date = 2026-11-29
source = "a bill"
reason = "holds the weights"
"""


def test_what_this_project_makes_passes_where_it_makes_it_and_nowhere_else() -> None:
    """A VPC of the network's; one beside it is nobody's."""
    assert found(made(VPC, chain=IN_NETWORK), made(names.NODE), made(names.INSTALL)) == []
    (text,) = found(made(VPC))
    assert text.startswith(f"nothing says what {VPC} outside crossover:aws:Network costs: this project makes none")


@pytest.mark.parametrize(
    "kind",
    ["gpucloud:index:Helper", BUCKET, "azure-native:compute:VirtualMachine", "random:index/randomId:RandomId"],
)
def test_every_other_type_is_refused_whatever_its_provider(kind: str) -> None:
    """Audit 5: ten 8×H100 came in under a type that no rule knew."""
    (text,) = found(made(kind))
    assert "add the type to policies/allowed-types.toml" in text


def test_a_type_that_the_team_allows_passes_and_its_cost_is_told(allow: Callable[[str], None]) -> None:
    """2 × 3.5 = 7."""
    assert len(found(made(BUCKET))) == 1
    allow(ROW)
    assert found(made(BUCKET)) == []
    (line,) = beside(made(BUCKET, name="a"), made(BUCKET, name="b"))
    assert line == f"beside the nodes are $7/month: 2 × {BUCKET}, $3.50 each"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("3.5", "-1"), f"allowed-types.toml:3: {BUCKET}.usdPerMonth: must be at least 0, got -1; in USD"),
        (('reason = "holds the weights"', ""), f"allowed-types.toml:2: {BUCKET}.reason: missing"),
        (('source = "a bill"', 'source = ""'), f"allowed-types.toml:5: {BUCKET}.source: must be a text"),
        (("usdPerMonth", "usdPerMont"), f"allowed-types.toml:3: {BUCKET}.usdPerMont: unknown key"),
    ],
)
def test_a_row_that_cannot_be_used_refuses_with_file_line_and_key(
    allow: Callable[[str], None], change: tuple[str, str], words: str
) -> None:
    """Without reason, without source, with a cost below nothing."""
    allow(ROW.replace(*change))
    with pytest.raises(CatalogueError) as error:
        load_catalogue()
    assert error.value.lines[0].startswith(words)
    (text,) = found(made(BUCKET))
    assert text.startswith(f"cannot evaluate: {words}")


def test_the_committed_allow_list_can_be_read() -> None:
    assert all(row.reason and row.source for row in load_catalogue().allowed.values())


def test_a_disk_costs_its_list_price_and_one_of_an_unknown_kind_is_refused() -> None:
    """Audit 14: 3 × 16,384 GB gp3 at $0.08 are $3,932.16, which came without a word. gp3 with 4,000 IOPS and 250 MB/s:
    100 × 0.08 + 1,000 × 0.005 + 125 × 0.04 = 18."""
    volumes = [made(VOLUME, {"size": 16384, "type": "gp3"}, name=name) for name in "abc"]
    assert found(*volumes) == []
    assert priced_resources_usd_per_month(volumes).usd_per_month == Decimal("3932.16")
    fast = made(VOLUME, {"size": 100, "type": "gp3", "iops": 4000, "throughput": 250})
    assert priced_resources_usd_per_month([fast]).usd_per_month == 18
    assert found(made(VOLUME, {"size": 100, "type": "gp9"})) == [
        "nothing says what disk of 100 GB gp9 costs; add a row 'aws/ebs/gp9' to the pack's data/resources.toml"
    ]


def test_gateways_and_balancers_cost_730_hours() -> None:
    """0.045, 0.0225 twice and 0.025 an hour."""
    network = {"loadBalancerType": "network"}
    several = [made(NAT), made(BALANCER), made(BALANCER, network, name="b"), made(CLASSIC)]
    hourly = Decimal("0.045") + 2 * Decimal("0.0225") + Decimal("0.025")
    assert priced_resources_usd_per_month(several).usd_per_month == 730 * Fraction(hourly)
    assert found(*several) == []


def test_an_instance_costs_itself_and_its_disks_and_a_fleets_only_its_disks() -> None:
    """m7i.large 0.1008 × 730 = 73.584; p4de.24xlarge 27.447050 × 730; 500 GB gp3 = 40."""
    root = {"rootBlockDevice": {"volumeType": "gp3", "volumeSize": 500}}

    def cost(sku: str, chain: str) -> Fraction:
        one = made(names.AWS_INSTANCE, {"instanceType": sku, **root}, chain)
        return priced_resources_usd_per_month([one]).usd_per_month

    assert cost("m7i.large", IN_GATEWAY) == Decimal("73.584") + 40
    assert cost("p4de.24xlarge", IN_FLEET) == 40
    assert cost("p4de.24xlarge", "") == Decimal("27.447050") * 730 + 40
    assert found(made(names.AWS_INSTANCE, {"instanceType": "m7i.large"})) == []
    assert "'aws/ec2/x9.large'" in found(made(names.AWS_INSTANCE, {"instanceType": "x9.large"}))[0]


def test_what_the_provider_fills_in_does_not_hide_what_the_program_says() -> None:
    """A preview shows as unknown what the provider computes: IOPS of a disk whose size is given, disks of the image."""
    root = {"volumeType": "gp3", "volumeSize": 500, "iops": UNKNOWN_NUMBER_VALUE, "throughput": UNKNOWN_NUMBER_VALUE}
    props = {"instanceType": "p4de.24xlarge", "rootBlockDevice": root, "ebsBlockDevices": UNKNOWN_ARRAY_VALUE}
    found = priced_resources_usd_per_month([made(names.AWS_INSTANCE, props, IN_FLEET)])
    assert found.usd_per_month == 40
    assert not found.unpriced


def test_a_price_of_another_region_says_so() -> None:
    """By the provider's region, or the zone's."""
    disk = {"size": 100, "type": "gp3"}
    assert priced_resources_usd_per_month([made(VOLUME, disk)]).lines == ("1 × disk of 100 GB gp3, $8 each",)
    abroad = [made(VOLUME, disk, region="eu-west-1"), made(VOLUME, {**disk, "availabilityZone": "eu-west-1b"})]
    assert priced_resources_usd_per_month(abroad).lines == ("2 × disk of 100 GB gp3 (price of us-east-1), $8 each",)


def test_what_only_up_knows_is_noted_and_the_rest_is_judged() -> None:
    later = made(VOLUME, {"size": UNKNOWN_NUMBER_VALUE, "type": "gp3"})
    assert priced_resources_usd_per_month([later]).unpriced == {later.urn: LATER}
    said: list[str] = []
    with pytest.raises(UnknownValueError):
        RULES["type-allowed"].validate(  # type: ignore[attr-defined]
            StackValidationArgs([later, made(BUCKET)]), lambda text, urn=None: said.append(text)
        )
    assert len(said) == 1


def test_more_than_the_scenario_assumes_is_a_warning(ladder: Build) -> None:
    """The default is $400: 5,000 GB gp3 are just that, one more is $0.08 too much."""
    reports(RULES["advisories"], args(ladder().to_inputs()))
    (line,) = beside(made(VOLUME, {"size": 5000, "type": "gp3"}))
    assert line.startswith("beside the nodes are $400/month: ")
    (line,) = beside(made(VOLUME, {"size": 5001, "type": "gp3"}))
    assert line.startswith("WARN beside-nodes: beside the nodes are $400.08/month: ")
    assert line.endswith("what they cost is judged in its place (whole-cost)")
    assert beside() == []


def test_in_a_program_that_is_not_ours_it_warns() -> None:
    standing.program.is_ours = False
    other = made(BUCKET)
    assert found(other) == []
    assert beside(other)[0].startswith(f"WARN type-allowed: nothing says what {BUCKET} costs")


def test_every_type_of_aws_that_our_program_makes_is_listed() -> None:
    """`aws.ec2.Vpc(…)` in the source, but for arguments and answers, is `Vpc` of the list."""
    folder = REPOSITORY / "providers" / "clouds" / "aws" / "resources"
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    called = {name for name in re.findall(r"\baws\.\w+\.([A-Z]\w+)\(", source) if not name.endswith("Args")}
    assert called
    assert called == {kind.rpartition(":")[2] for kind in MADE if kind.startswith("aws:")}


def test_every_price_says_where_and_whence_and_every_priced_type_has_one() -> None:
    assert all(row.region and row.source for row in load_catalogue().resources.values())
    assert set(PRICED) <= {VOLUME, BALANCER, NAT, CLASSIC, names.AWS_INSTANCE, names.AWS_SPOT_INSTANCE} | {
        "aws:alb/loadBalancer:LoadBalancer"
    }
