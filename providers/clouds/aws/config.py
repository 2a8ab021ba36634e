"""What the cloud `aws` reads from the environment, and the section `clouds.aws` of a stack, each parsed once."""

from __future__ import annotations

import ipaddress
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from providers.base import Candidate
from providers.clouds.aws import NAME
from providers.renting.naming import nearest
from providers.renting.sections import node_image, parse_section
from strict import problems
from strict.fields import Cidr, Section, cidr

IMAGES = {
    "base-oss-nvidia-driver-gpu-ubuntu-22.04": "/aws/service/deeplearning/ami/x86_64/"
    "base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id",
    "base-oss-nvidia-driver-gpu-ubuntu-24.04": "/aws/service/deeplearning/ami/x86_64/"
    "base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id",
    "ubuntu-24.04": "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
}
"""Image name → the public SSM parameter that holds the AMI's id in each region."""
IMAGE_ID = re.compile(r"ami-[0-9a-f]{8,17}")
DEFAULT_HOME = "us-east-1"
DISK = "gp3"
"""The kind of every root volume."""


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """Where the commands ask. Credentials are found by AWS' own rules, and never held here."""

    home: str = DEFAULT_HOME
    """The region that is asked which regions there are."""
    regions: tuple[str, ...] = ()
    """The regions where machines may be; empty: all that the account has enabled."""
    endpoint: str = ""
    """What stands in for EC2's own address."""

    @classmethod
    def from_environment(cls) -> AwsConfig:
        """AWS_REGION or AWS_DEFAULT_REGION; CROSSOVER_AWS_REGIONS, separated by commas; AWS_ENDPOINT_URL."""
        given = os.environ.get("CROSSOVER_AWS_REGIONS", "")
        return cls(
            home=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_HOME,
            regions=tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip())),
            endpoint=os.environ.get("AWS_ENDPOINT_URL_EC2") or os.environ.get("AWS_ENDPOINT_URL") or "",
        )


@cache
def regions() -> tuple[str, ...]:
    """The regions that the locked SDK knows."""
    from pulumi_aws import Region  # a second to import, which a reader of settings alone should not pay

    return tuple(sorted(region.value for region in Region))


def _region(value: str) -> str:
    if value not in regions():
        raise ValueError(f"AWS has no region {value!r}: {nearest(value, regions())}")
    return value


def _vpc_cidr(value: str) -> str:
    network = ipaddress.IPv4Network(cidr(value))
    if not network.is_private or not 16 <= network.prefixlen <= 20:
        raise ValueError(f"{value} must be a private range between /16 and /20, e.g. 10.82.0.0/16")
    return str(network)


def _image(value: str) -> str:
    if value not in IMAGES and not IMAGE_ID.fullmatch(value):
        raise ValueError(f"{value!r} is neither an AMI's id (ami-…) nor a known image: {nearest(value, tuple(IMAGES))}")
    return value


def _bucket(value: str) -> str:
    bucket, _, prefix = value.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket) or not prefix or set(prefix) & set("*?$"):
        raise ValueError(
            f"{value!r} must be bucket/prefix, e.g. my-weights/llama-70b: read is granted on the prefix alone"
        )
    return f"{bucket}/{prefix}"


def _id(kind: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(rf"{kind}-[0-9a-f]{{8,17}}", value):
            raise ValueError(f"{value!r} is no id like {kind}-0123456789abcdef0")
        return value

    return AfterValidator(check)


Image = Annotated[str, AfterValidator(_image)]


class Ssh(Section):
    """SSH straight to the machines' addresses."""

    cidrs: Annotated[tuple[Cidr, ...], Field(min_length=1)]
    """Where the runner and the people on call connect from."""


class Access(Section):
    """How the installer and people come in: `ssm`, or `ssh: {cidrs: […]}`."""

    ssh: Ssh | None = None
    ssm: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        if isinstance(data, str) and data != "ssm":
            raise ValueError(f"must be ssm, or ssh: {{cidrs: […]}}, got {data!r}")
        return {"ssm": True} if data == "ssm" else data

    @model_validator(mode="after")
    def _one(self) -> Access:
        if self.ssm == (self.ssh is not None):
            raise ValueError("must be exactly one of ssm, and ssh: {cidrs: […]}")
        return self

    @property
    def cidrs(self) -> tuple[str, ...]:
        """Who may connect to port 22; nobody with `ssm`."""
        return () if self.ssh is None else self.ssh.cidrs


class Disks(Section):
    """How large root volumes are, in GiB, as EBS counts. They can grow and never shrink."""

    root_gb: int = Field(500, ge=100, le=16_384)
    """The nodes'."""
    gateway_root_gb: int = Field(50, ge=20, le=16_384)


class AwsSettings(Disks):
    """One region of one account, for one stack."""

    region: Annotated[str, AfterValidator(_region)]
    """By default that of the candidates (`parse`)."""
    access: Access
    client_cidrs: tuple[Cidr, ...] = ()
    """Who may ask the gateway's endpoint, where a machine of this section carries the gateway."""
    vpc_id: Annotated[str, _id("vpc")] | None = None
    """An existing VPC; without it, one is made."""
    subnet_ids: tuple[Annotated[str, _id("subnet")], ...] = ()
    """Its subnets that machines may be put into: at most one per zone is used, the first."""
    vpc_cidr: Annotated[str, AfterValidator(_vpc_cidr)] = "10.82.0.0/16"
    """The range of the VPC that is made."""
    public_addresses: bool = True
    """Whether machines get a public address. Without: an existing VPC with a way out (NAT), a runner with a way in."""
    zones: tuple[str, ...] = ()
    """The zones to use; by default all that offer the instance type."""
    ami: Annotated[Image, AfterValidator(node_image)] = "base-oss-nvidia-driver-gpu-ubuntu-24.04"
    """The nodes' image: an AMI's id, or a name of IMAGES. Applies to machines that are rented later."""
    gateway_ami: Image = "ubuntu-24.04"
    weights_bucket: Annotated[str, AfterValidator(_bucket)] | None = None
    """bucket/prefix in S3: the nodes, and nothing else, may read what lies below the prefix."""
    capacity_reservation_id: Annotated[str, _id("cr")] | None = None
    capacity_block_id: Annotated[str, _id("cr")] | None = None
    """Both exist already and bind the nodes to their zone: name it in `zones`. Nothing is ever reserved or bought."""

    @model_validator(mode="after")
    def _fits_together(self) -> AwsSettings:
        if (self.vpc_id is None) != (not self.subnet_ids):
            raise ValueError("an existing VPC is given by vpcId and subnetIds together")
        if not self.public_addresses and self.vpc_id is None:
            raise ValueError("publicAddresses: false needs an existing VPC (vpcId, subnetIds) that has a NAT gateway")
        if self.capacity_reservation_id and self.capacity_block_id:
            raise ValueError("give capacityReservationId or capacityBlockId, not both")
        if self.reservation and len(self.zones) != 1:
            raise ValueError("a capacity reservation or block is bound to one zone: name that zone in zones")
        foreign = [zone for zone in self.zones if not re.fullmatch(rf"{self.region}[a-z]", zone)]
        if foreign:
            raise ValueError(f"zones: {', '.join(foreign)} is no zone of {self.region}, which look like {self.region}a")
        return self

    @property
    def reservation(self) -> str | None:
        """The reserved capacity that the nodes are launched into."""
        return self.capacity_reservation_id or self.capacity_block_id


def parse(section: Mapping[str, Any], regions: Iterable[str] = ()) -> AwsSettings:
    """The settings. `regions` are the candidates': the first is the section's where it names none. Raises
    InvalidRequest with one line per problem, each with its key."""
    first = next(iter(regions), None)
    return parse_section(AwsSettings, NAME, {**({"region": first} if first else {}), **section})


def listed(section: Mapping[str, Any], nodes: Sequence[Candidate], gateway: Candidate | None) -> list[dict[str, Any]]:
    """What a stack at AWS makes besides GPU machines and AWS bills by its list: root disks, and the gateway's machine.
    What else `resources/` makes (a VPC, routes, groups, roles) costs nothing by itself. Each as plain values: `row` of
    the gate's list of prices, `what`, `region`, `count` and `gb`. Raises Problems where the disks' sizes cannot be
    read."""
    keys = [field.alias or name for name, field in Disks.model_fields.items()]
    disks = problems.parse(Disks, {key: section[key] for key in keys if key in section})
    found = [_disk(region, disks.root_gb, count) for region, count in Counter(one.region for one in nodes).items()]
    if gateway is not None:
        machine = {"row": f"aws/{gateway.sku}", "what": f"instance {gateway.sku}", "region": gateway.region}
        found += [machine, _disk(gateway.region, disks.gateway_root_gb, 1)]
    return found


def _disk(region: str, gb: int, count: int) -> dict[str, Any]:
    disk = {"row": f"aws/ebs/{DISK}", "what": f"disk of {gb:,} GB {DISK}", "region": region, "gb": gb}
    return {**disk, "count": count}
