"""What AWS' answers mean for a plan. Doctor shows it and `up` obeys it: what the one passes, the other does too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from providers.clouds.aws import machines
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.config import AwsSettings, parse
from providers.clouds.aws.preflight import way_in
from providers.clouds.aws.preflight.layout import spread
from providers.clouds.aws.preflight.quota import Quota, family, needed, request
from providers.clouds.aws.preflight.region import Region
from providers.clouds.aws.preflight.tries import Tries
from providers.clouds.aws.tags import FLEET, fleet_mark, owner_in
from providers.errors import CloudError, InvalidRequest
from providers.preflight import Check, Grade, Plan
from providers.renting.naming import nearest
from strict.names import GATEWAY_ROLE, INFERENCE_ROLE

COUNTED = ("pending", "running")
"""EC2's states of machines that count against a quota."""
AGAIN = "then ask again"


@dataclass(frozen=True, slots=True)
class Occupied:
    """Where one of the stack's machines is."""

    zone: str
    generation: int


@dataclass(slots=True)
class Found:
    """What AWS says of a plan. Where a check failed, what it would have found is missing."""

    settings: AwsSettings
    checks: list[Check] = field(default_factory=list)
    usable: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Instance type → the zones that offer it and that the settings allow."""
    subnets: dict[str, str] = field(default_factory=dict)
    """Zone → subnet of the existing VPC; empty where one is made."""
    there: dict[str, dict[str, Occupied]] = field(default_factory=dict)
    """Role → key → place, of the stack's machines that exist."""
    zones: dict[str, str] = field(default_factory=dict)
    """Node key → its zone, now or when it is launched; the gateway's too."""
    again: dict[str, Mapping[str, float]] = field(default_factory=dict)
    """Node key → the zones where an `up` asked for it, of those that are not there."""
    images: dict[str, str] = field(default_factory=dict)
    """Role → AMI id, as of now."""


def settings_of(plan: Plan) -> AwsSettings:
    """The section, parsed. Raises InvalidRequest with a line for each problem."""
    return parse(plan.settings, [candidate.region for candidate in plan.candidates.values()])


def checks(client: AwsClient, plan: Plan, runner: way_in.Runner | None = None) -> list[Check]:
    """What doctor shows: all that `up` looks at, and whether machines would let this computer in. Raises nothing of
    AWS'."""
    runner = runner or way_in.THIS
    try:
        settings = settings_of(plan)
    except InvalidRequest as e:
        lines = str(e).splitlines()
        return [Check("aws settings", Grade.FAIL, line, "correct it in the stack's configuration") for line in lines]
    found = look(client, plan, settings, Tries.of(plan.project, plan.stack), runner).checks
    return found if settings.access.ssm else [*found, way_in.by_ssh(settings, runner)]


def look(
    client: AwsClient, plan: Plan, settings: AwsSettings, tries: Tries, runner: way_in.Runner | None = None
) -> Found:
    """Asks AWS about everything the plan needs, and creates nothing. Each check on its own: one that fails does not
    hide the rest."""
    one = _Look(Region(client, settings.region), plan, Found(settings), tries, runner or way_in.THIS)
    parts: dict[str, Callable[[], Iterable[Check]]] = {
        "aws account": one.account,
        "aws way in": one.way_in,
        "aws network": one.network,
        "aws zones": one.zones,
        "aws places": one.places,
        "aws quota": one.quotas,
        "aws images": one.images,
        "aws reservation": one.reservation,
    }
    for name, part in parts.items():
        try:
            one.found.checks += part()
        except CloudError as e:
            one.found.checks.append(Check(name, Grade.FAIL, str(e), AGAIN))
    return one.found


@dataclass
class _Look:
    """One look at one region. What is asked for more than one check is asked once."""

    region: Region
    plan: Plan
    found: Found
    tries: Tries
    runner: way_in.Runner

    @property
    def settings(self) -> AwsSettings:
        return self.found.settings

    @cached_property
    def skus(self) -> dict[str, str]:
        """Key → instance type, of all machines."""
        return {key: candidate.sku for key, candidate in self.plan.candidates.items()}

    @cached_property
    def offered(self) -> dict[str, tuple[str, ...]]:
        return self.region.zones(self.skus.values())

    @cached_property
    def types(self) -> dict[str, dict[str, Any]]:
        return self.region.types(self.offered)

    @cached_property
    def instances(self) -> list[dict[str, Any]]:
        return self.region.instances()

    @cached_property
    def marks(self) -> dict[str, str]:
        """Role → the tag's value that the stack's own machines have."""
        return {role: fleet_mark(self.plan.project, self.plan.stack, role) for role in (INFERENCE_ROLE, GATEWAY_ROLE)}

    @cached_property
    def there(self) -> dict[str, dict[str, Occupied]]:
        """Role → key → place."""
        found: dict[str, dict[str, Occupied]] = {role: {} for role in self.marks}
        for instance in self.instances:
            tags = machines.tags(instance)
            role = next((role for role, mark in self.marks.items() if tags.get(FLEET) == mark), None)
            if role is not None and (owner := owner_in(tags)) is not None:
                found[role][owner.key] = Occupied(instance["Placement"]["AvailabilityZone"], owner.generation)
        return found

    def place_of(self, key: str) -> Occupied | None:
        return self.there[GATEWAY_ROLE if key == GATEWAY_ROLE else INFERENCE_ROLE].get(key)

    def coming(self, key: str) -> bool:
        """Whether the next `up` launches it."""
        place = self.place_of(key)
        return place is None or self.plan.generations.get(key, 1) > place.generation

    def account(self) -> Iterator[Check]:
        yield Check("aws account", Grade.OK, self.region.identity())

    def way_in(self) -> Iterator[Check]:
        if self.settings.access.ssm:
            yield way_in.by_ssm(self.runner)

    def network(self) -> Iterator[Check]:
        """Whether the existing VPC can be used."""
        vpc_id = self.settings.vpc_id
        if vpc_id is None:
            return
        if self.settings.public_addresses and not self.region.has_host_names(vpc_id):
            yield Check(
                "aws network", Grade.FAIL, f"{vpc_id} has no DNS host names, by which the gateway reaches nodes inside",
                "turn on enableDnsSupport and enableDnsHostnames there, or set publicAddresses: false",
            )  # fmt: skip
        for subnet in self.region.subnets(self.settings.subnet_ids):
            self.found.subnets.setdefault(subnet["AvailabilityZone"], subnet["SubnetId"])
            if subnet["VpcId"] != vpc_id:
                detail = f"{subnet['SubnetId']} is in {subnet['VpcId']} and not in {vpc_id}"
                yield Check("aws network", Grade.FAIL, detail, "correct clouds.aws.subnetIds")

    def zones(self) -> Iterator[Check]:
        """Of each type: is it offered where the settings allow it, and does it run our images?"""
        for key, candidate in self.plan.candidates.items():
            if candidate.region != self.settings.region:
                yield Check(
                    f"aws region of {key}", Grade.FAIL, f"{candidate.region}; the stack's is {self.settings.region}",
                    "a stack has one region at AWS, that of clouds.aws.region or of its first candidate: choose one",
                )  # fmt: skip
        for sku in sorted(set(self.skus.values())):
            yield self._zones_of(sku)

    def _zones_of(self, sku: str) -> Check:
        name, offered = f"aws zones of {sku}", self.offered.get(sku, ())
        if not offered:
            return Check(name, Grade.FAIL, f"not offered in {self.region.name}", nearest(sku, self.region.zones()))
        kinds = self.types[sku]["ProcessorInfo"]["SupportedArchitectures"]
        if "x86_64" not in kinds:
            return Check(name, Grade.FAIL, f"it is {'/'.join(kinds)}", "choose an x86_64 type")
        named, subnets = self.settings.zones, self.found.subnets
        usable = tuple(z for z in offered if (not named or z in named) and (not subnets or z in subnets))
        if not usable:
            limits = [f"clouds.aws.zones names {', '.join(named)}"] if named else []
            limits += [f"subnetIds lie in {', '.join(sorted(subnets))}"] if subnets else []
            detail = f"offered in {', '.join(offered)}; {' and '.join(limits)}"
            return Check(name, Grade.FAIL, detail, "add one of those that offer it")
        self.found.usable[sku] = usable
        return Check(name, Grade.OK, f"{', '.join(usable)}; whether one is free, only a launch tells")

    def places(self) -> Iterator[Check]:
        """Whether each machine finds a zone, and no two are replaced at once: the engine ends them side by side, before
        any has a successor, and nothing of ours stands in between."""
        self.found.there = self.there
        nodes = {key: sku for key, sku in self.skus.items() if key != GATEWAY_ROLE}
        raised = sorted(key for key in nodes if self.place_of(key) and self.coming(key))
        if len(raised) > 1:
            detail = f"those of {', '.join(raised)} are raised at once; machines at AWS are replaced side by side"
            remedy = "raise one, run `up`, and raise the next one once that node serves"
            yield Check("aws generations", Grade.FAIL, detail, remedy)
        if set(self.skus.values()) - set(self.found.usable):
            return  # told above
        taken = {key: place.zone for key, place in self.there[INFERENCE_ROLE].items()}
        known = self.tries.known()
        self.found.again = {key: known[key] for key in nodes if key in known and key not in taken}
        allowed = {key: self.found.usable[sku] for key, sku in nodes.items()}
        self.found.zones = spread(allowed, taken, self.plan.max_per_failure_domain, self.found.again)
        if GATEWAY_ROLE in self.skus:
            taken = {key: place.zone for key, place in self.there[GATEWAY_ROLE].items()}
            usable = self.found.usable[self.skus[GATEWAY_ROLE]]
            self.found.zones[GATEWAY_ROLE] = spread({GATEWAY_ROLE: usable}, taken, 1)[GATEWAY_ROLE]

    def quotas(self) -> Iterator[Check]:
        """What the stack needs, with what runs there that is not the stack's, against each limit. Machines in a
        capacity block are outside the nodes'."""
        counted = self.settings.capacity_block_id is None
        own = {k: sku for k, sku in self.skus.items() if sku in self.offered and (counted or k == GATEWAY_ROLE)}
        others = self._others()
        kinds = {**self.types, **self.region.types({*others} - {*self.types})}
        vcpus = {sku: int(kind["VCpuInfo"]["DefaultVCpus"]) for sku, kind in kinds.items()}
        besides: Counter[Quota] = needed(others, vcpus)
        for quota, wanted in needed(own.values(), vcpus).items():
            more, limit = besides[quota], self.region.limit_vcpus(quota)
            name = f"aws quota {quota.code}, {quota.name}, {self.region.name}"
            detail = f"{limit:g} vCPU; the stack needs {wanted}" + (f", and {more} run there besides" if more else "")
            if limit >= wanted + more:
                yield Check(name, Grade.OK, detail)
                continue
            launched = any(self.coming(key) and family(sku) in quota.families for key, sku in own.items())
            remedy = f"raise it, which may take days: {request(quota, wanted + more, self.region.name)}"
            yield Check(name, Grade.FAIL if launched else Grade.WARN, detail, remedy)

    def _others(self) -> list[str]:
        """Types of on-demand machines that count against the same limits and are not the stack's."""
        return [
            instance["InstanceType"]
            for instance in self.instances
            # Spot machines and capacity blocks have limits of their own.
            if machines.state(instance) in COUNTED
            and not instance.get("InstanceLifecycle")
            and machines.tags(instance).get(FLEET) not in self.marks.values()
        ]

    def images(self) -> Iterator[Check]:
        """What machines boot, where there are such machines."""
        named = {INFERENCE_ROLE: self.settings.ami} if self.skus.keys() - {GATEWAY_ROLE} else {}
        named |= {GATEWAY_ROLE: self.settings.gateway_ami} if GATEWAY_ROLE in self.skus else {}
        for role, image in named.items():
            self.found.images[role] = self.region.image(image)
            yield Check(f"aws image of {role}", Grade.OK, f"{image}: {self.found.images[role]}")

    def reservation(self) -> Iterator[Check]:
        """Whether what is reserved fits the nodes that are to be launched into it."""
        reserved = self.settings.reservation
        launched = {sku for key, sku in self.skus.items() if key != GATEWAY_ROLE and self.coming(key)}
        if reserved is None or not launched:
            return
        held = self.region.reservation(reserved)
        state, sku, zone = held["State"], held["InstanceType"], held["AvailabilityZone"]
        detail = f"{state}, for {sku} in {zone}"
        if state == "active" and launched == {sku} and (zone,) == self.settings.zones:
            yield Check(f"aws {reserved}", Grade.OK, detail)
        else:
            wanted = f"{', '.join(sorted(launched))} in {', '.join(self.settings.zones)}"
            remedy = f"name one that is active, for {wanted}; or leave it out"
            yield Check(f"aws {reserved}", Grade.FAIL, detail, remedy)
