"""What AWS says before anything is created: zones, quotas, images, and where our machines already are.

All of it is asked at preview too, so that what cannot work is refused there; so is what this computer lacks to get in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pulumi
import pulumi_aws as aws

from providers.base import Candidate
from providers.clouds.aws import quota, session
from providers.clouds.aws.config import IMAGE_ID, IMAGES, AwsSettings
from providers.clouds.aws.offering import regular_zones
from providers.clouds.aws.resources.layout import spread
from providers.clouds.aws.resources.tries import Tries
from providers.clouds.aws.tags import FLEET, fleet_mark, owner_in
from providers.errors import CloudError, InvalidRequest, Unavailable
from providers.renting.naming import nearest
from strict.names import GATEWAY_ROLE, INFERENCE_ROLE

IN_THEIR_ZONE = ("pending", "running", "stopping", "stopped")
"""EC2's states of machines that hold, or may hold again, a place in their zone."""
MOST_ATTEMPTS = 8
"""Of one request of the plugin's. It repeats "insufficient capacity" as if that were the network's fault
(terraform-provider-aws, internal/service/ec2/service_package.go), 25 times unless told: about 50 minutes
(hashicorp/terraform-provider-aws#43193), whatever the time-outs say (#49863). The SDK waits at most 2^n s after attempt
n (aws-sdk-go-v2, aws/retry/jitter_backoff.go): eight attempts end after 254 s at the latest."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Demand:
    """What the stack wants of AWS."""

    nodes: Mapping[str, Candidate] = field(default_factory=dict)
    """Node key → its one candidate at AWS: a machine of `pulumi_aws` has no ladder."""
    gateway: Candidate | None = None
    max_per_failure_domain: int = 1
    generations: Mapping[str, int] = field(default_factory=dict)
    """Of the nodes where it is not 1."""

    @property
    def candidates(self) -> dict[str, Candidate]:
        """All machines, by role and key."""
        wanted = {f"{INFERENCE_ROLE}/{key}": candidate for key, candidate in self.nodes.items()}
        return wanted if self.gateway is None else {**wanted, GATEWAY_ROLE: self.gateway}


@dataclass(frozen=True, slots=True)
class Survey:
    """What the network and the nodes are made from; all plain values, known at preview."""

    settings: AwsSettings
    demand: Demand
    provider: aws.Provider
    zones: tuple[str, ...]
    """Zones that need a subnet."""
    subnet_ids: Mapping[str, str]
    """Zone → subnet of the existing VPC; empty where one is made."""
    node_zones: Mapping[str, str]
    """Node key → zone."""
    gateway_zone: str | None
    images: Mapping[str, str]
    """Role → AMI id, as of now."""


def survey(settings: AwsSettings, demand: Demand, tries: Tries | None = None) -> Survey:
    """Asks AWS about everything the demand needs. Creates nothing. With `tries`, a node that has no machine is asked
    for in another zone than at the last `up`.

    Raises pulumi.RunError with what is wrong, where, and what to do. Call it before any resource is registered.
    """
    try:
        return _survey(settings, demand, tries)
    except CloudError as e:
        raise pulumi.RunError(f"aws {settings.region}: {e}") from None


def _survey(settings: AwsSettings, demand: Demand, tries: Tries | None) -> Survey:
    for who, candidate in demand.candidates.items():
        if candidate.region != settings.region:
            raise InvalidRequest(
                f"{who} asks for region {candidate.region!r} and the stack is in {settings.region!r}: it has one "
                "region at AWS, that of clouds.aws.region or else of its first candidate; choose one of the two"
            )
    if settings.access.ssm:
        session.require_programs()
    ask = _Asked(settings.region, aws.Provider("aws", region=settings.region, max_retries=MOST_ATTEMPTS))
    instance_types = {who: candidate.sku for who, candidate in demand.candidates.items()}
    offered = {sku: ask.zones(sku) for sku in sorted(set(instance_types.values()))}
    ask.quotas(instance_types, counted=settings.capacity_block_id is None)
    subnets = ask.subnets(settings) if settings.vpc_id else {}
    usable = {sku: _usable(sku, zones, settings, subnets) for sku, zones in offered.items()}

    usable_by_key = {key: usable[candidate.sku] for key, candidate in demand.nodes.items()}
    there = ask.machines(INFERENCE_ROLE) if demand.nodes else {}
    _check_one_at_a_time(demand, there)
    taken = {key: zone for key, (zone, _) in there.items()}
    node_zones = _placed(usable_by_key, taken, demand.max_per_failure_domain, tries)
    # A subnet is never taken from under a machine, whatever AWS offers today or the settings allow.
    zones = {zone for key, allowed in usable_by_key.items() for zone in (*allowed, taken.get(key, allowed[0]))}
    images = {INFERENCE_ROLE: settings.ami} if demand.nodes else {}
    gateway_zone = None
    if demand.gateway is not None:
        taken = {key: zone for key, (zone, _) in ask.machines(GATEWAY_ROLE).items()}
        placed = spread(dict.fromkeys(taken or (GATEWAY_ROLE,), usable[demand.gateway.sku]), taken, 1)
        gateway_zone = min(placed.values())
        zones |= {gateway_zone, *taken.values()}
        images[GATEWAY_ROLE] = settings.gateway_ami
    return Survey(
        settings=settings,
        demand=demand,
        provider=ask.provider,
        zones=tuple(sorted(zones)),
        subnet_ids=subnets,
        node_zones=node_zones,
        gateway_zone=gateway_zone,
        images={role: ask.image(image) for role, image in images.items()},
    )


def _check_one_at_a_time(demand: Demand, there: Mapping[str, tuple[str, int]]) -> None:
    """Raises InvalidRequest where more than one machine would be replaced: the engine ends them side by side, before
    any has a successor, and nothing of ours stands in between."""
    raised = [key for key in demand.nodes if key in there and demand.generations.get(key, 1) > there[key][1]]
    if len(raised) > 1:
        raise InvalidRequest(
            f"the generations of {', '.join(sorted(raised))} are raised at once, and machines at AWS are replaced side "
            "by side: raise one, run `up`, and raise the next one once that node serves"
        )


def _placed(
    usable: Mapping[str, tuple[str, ...]], taken: Mapping[str, str], max_per_failure_domain: int, tries: Tries | None
) -> dict[str, str]:
    """Node key → zone. An `up` remembers it of those that are to be created."""
    asked = {} if tries is None else {k: zones for k, zones in tries.known().items() if k in usable and k not in taken}
    zones = spread(usable, taken, max_per_failure_domain, asked)
    for key, before in asked.items():
        pulumi.log.warn(
            f"node {key} was asked for in {', '.join(sorted(before))} and is not there, as where AWS has no capacity "
            f"left; {zones[key]} is asked now. If no zone has any: name a Capacity Block or a reservation "
            "(clouds.aws.capacityBlockId, capacityReservationId), or take another region or cloud"
        )
    if tries is not None and not pulumi.runtime.is_dry_run():
        tries.begin({key: zone for key, zone in zones.items() if key not in taken}, taken)
    return zones


def _usable(sku: str, offered: tuple[str, ...], settings: AwsSettings, subnets: Mapping[str, str]) -> tuple[str, ...]:
    """The zones that offer the type and that the settings allow. Raises InvalidRequest if there is none."""
    usable = tuple(
        zone
        for zone in offered
        if (not settings.zones or zone in settings.zones) and (not settings.vpc_id or zone in subnets)
    )
    if not usable:
        limits = [f"clouds.aws.zones names {', '.join(settings.zones)}"] if settings.zones else []
        limits += [f"subnetIds lie in {', '.join(sorted(subnets))}"] if settings.vpc_id else []
        raise InvalidRequest(f"{sku} is offered in {', '.join(offered)}, but {' and '.join(limits)}: add one of those")
    return usable


class _Asked:
    """Look-ups at one region. Each raises Unavailable, saying what was asked, where AWS does not answer."""

    def __init__(self, region: str, provider: aws.Provider) -> None:
        self.region = region
        self.provider = provider
        self.opts = pulumi.InvokeOptions(provider=provider)

    def zones(self, sku: str) -> tuple[str, ...]:
        """The zones that offer an instance type. Raises InvalidRequest with the nearest types if none does."""
        found = self._types("availability-zone", [{"name": "instance-type", "values": [sku]}])
        zones = regular_zones(self.region, found.locations)
        if not zones:
            known = tuple(sorted(set(self._types("region", []).instance_types)))
            raise InvalidRequest(f"no zone offers the instance type {sku!r}: {nearest(sku, known)}")
        return zones

    def _types(self, location_type: str, filters: list[Any]) -> aws.ec2.AwaitableGetInstanceTypeOfferingsResult:
        return self._ask(
            "which zones offer an instance type (ec2:DescribeInstanceTypeOfferings)",
            lambda: aws.ec2.get_instance_type_offerings(filters=filters, location_type=location_type, opts=self.opts),
        )

    def quotas(self, instance_types: Mapping[str, str], *, counted: bool) -> None:
        """Raises QuotaExceeded. Machines in a capacity block (not `counted`) are outside the nodes' quota."""
        vcpus = {}
        for sku in sorted(set(instance_types.values())):
            answer = self._ask(
                f"what {sku} is (ec2:DescribeInstanceTypes)",
                partial(aws.ec2.get_instance_type, instance_type=sku, opts=self.opts),
            )
            if "x86_64" not in answer.supported_architectures:
                raise InvalidRequest(f"{sku} is {'/'.join(answer.supported_architectures)}: choose an x86_64 type")
            vcpus[sku] = answer.default_vcpus
        billed = {who: sku for who, sku in instance_types.items() if counted or who == GATEWAY_ROLE}
        self._ask(
            "the account's quotas (servicequotas:GetServiceQuota)",
            lambda: quota.check(quota.needed(billed, vcpus), self._limit_vcpus, self.region),
        )

    def _limit_vcpus(self, limit: quota.Quota) -> float:
        return aws.servicequotas.get_service_quota(service_code="ec2", quota_code=limit.code, opts=self.opts).value

    def subnets(self, settings: AwsSettings) -> dict[str, str]:
        """Zone → the first given subnet in it. Raises InvalidRequest for a VPC that cannot be used."""
        assert settings.vpc_id is not None
        vpc = self._ask(
            f"about {settings.vpc_id} (ec2:DescribeVpcs, ec2:DescribeVpcAttribute)",
            lambda: aws.ec2.get_vpc(id=settings.vpc_id, opts=self.opts),
        )
        if settings.public_addresses and not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
            raise InvalidRequest(
                f"{settings.vpc_id} has no DNS host names, through which the gateway reaches nodes inside the VPC: "
                "turn on enableDnsSupport and enableDnsHostnames there, or set publicAddresses: false"
            )
        found: dict[str, str] = {}
        for subnet_id in settings.subnet_ids:
            subnet = self._ask(
                f"about {subnet_id} (ec2:DescribeSubnets)",
                partial(aws.ec2.get_subnet, id=subnet_id, opts=self.opts),
            )
            if subnet.vpc_id != settings.vpc_id:
                raise InvalidRequest(
                    f"{subnet_id} is in {subnet.vpc_id} and not in {settings.vpc_id}: correct subnetIds"
                )
            found.setdefault(subnet.availability_zone, subnet_id)
        return found

    def machines(self, role: str) -> dict[str, tuple[str, int]]:
        """Key → zone and generation of the stack's machines that exist, found by their ownership mark."""
        mark = fleet_mark(pulumi.get_project(), pulumi.get_stack(), role)
        ids = self._ask(
            "which machines exist (ec2:DescribeInstances)",
            lambda: (
                aws.ec2.get_instances(
                    instance_tags={FLEET: mark}, instance_state_names=list(IN_THEIR_ZONE), opts=self.opts
                ).ids
            ),
        )
        machines = [
            self._ask(
                f"about {instance_id} (ec2:DescribeInstances, ec2:DescribeInstanceAttribute)",
                partial(aws.ec2.get_instance, instance_id=instance_id, opts=self.opts),
            )
            for instance_id in ids
        ]
        marked = [(m.availability_zone, owner_in(m.tags or {})) for m in machines]
        return {owner.key: (zone, owner.generation) for zone, owner in marked if owner is not None}

    def image(self, image: str) -> str:
        """The AMI's id in this region. Raises InvalidRequest for one that is not there."""
        if IMAGE_ID.fullmatch(image):
            by_id: list[Any] = [{"name": "image-id", "values": [image]}]
            try:
                aws.ec2.get_ami(filters=by_id, opts=self.opts)
            except Exception as e:
                raise InvalidRequest(
                    f"the account sees no image {image} here ({_reason(e)}); an AMI belongs to one region: copy it "
                    f"here, or choose one of {', '.join(IMAGES)}"
                ) from None
            return image
        return self._ask(
            f"which AMI {image} is now (ssm:GetParameter on {IMAGES[image]})",
            lambda: aws.ssm.get_parameter(name=IMAGES[image], opts=self.opts).insecure_value,
        )

    def _ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except CloudError:
            raise
        except Exception as e:  # Pulumi raises bare Exceptions for a refused invoke
            raise Unavailable(
                f"cannot ask {what}: {_reason(e)}. Nothing was created; the credentials need that right, see "
                "docs/reference/clouds/aws.md"
            ) from None


def _reason(error: Exception) -> str:
    """The first line of what the plugin says, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:400] if lines else type(error).__name__
