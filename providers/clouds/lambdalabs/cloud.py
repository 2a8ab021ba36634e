"""The cloud `lambda` in the words of every other cloud."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from providers.base import Machine, MachineState, NodeSpec, Offer, Owner
from providers.clouds.lambdalabs import marks, upkeep
from providers.clouds.lambdalabs.client import LAUNCH_PACE, PACE, LambdaClient
from providers.clouds.lambdalabs.config import INSTANCES_PAGE, LambdaConfig, LambdaSettings, parse
from providers.clouds.lambdalabs.said import Instance, InstanceType
from providers.errors import (
    CloudError,
    Gone,
    InvalidRequest,
    NoCapacity,
    QuotaExceeded,
    Unavailable,
)
from providers.renting.answers.price import check_quote, said
from providers.renting.answers.rows import whole
from providers.renting.firstboot import user_data
from providers.renting.naming import nearest
from providers.renting.presence.ending import Ending

STATES: Mapping[str, MachineState] = {
    "booting": MachineState.PENDING,
    "active": MachineState.RUNNING,
    "unhealthy": MachineState.RUNNING,  # it bills; whether it serves is for SSH to say
    "terminating": MachineState.TERMINATING,
    "terminated": MachineState.TERMINATED,
    "preempted": MachineState.TERMINATED,
}
TERMINATE_POLL_S = 2.0


class LambdaCloud:
    """On-demand GPU machines of Lambda's."""

    name = "lambda"
    visibility_s = 300.0
    """Chosen: Lambda publishes none. As long as AWS advises to wait for its own API (docs.aws.amazon.com/ec2/latest/
    devguide/eventual-consistency.html)."""

    def __init__(self, client: LambdaClient, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.client = client
        self._now = now

    @classmethod
    def from_environment(cls) -> LambdaCloud:
        """Configured by the environment: see LambdaConfig. One client, and one pace, for the whole process."""
        return cls(_client(LambdaConfig.from_environment()))

    @property
    def api_url(self) -> str:
        """Where its API is: `crossover doctor` tries the way there."""
        return self.client.config.base_url

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raises InvalidRequest that names `clouds.lambda.<key>`."""
        parse(settings)

    def offers(self) -> list[Offer]:
        """Every type in every region, at Lambda's live price, and whether it is free there."""
        regions = [region.name for region in self.client.regions()]
        return [
            _offer(found.instance_type, region, region in {r.name for r in found.regions_with_capacity_available})
            for found in self.client.instance_types().values()
            for region in regions
        ]

    def launch(self, spec: NodeSpec) -> Machine:
        """Looks before it asks, as launches are rare: one in 12 s. Raises what the protocol says."""
        settings = parse(spec.settings)
        tags = marks.tags(spec, self._now().isoformat(timespec="seconds"))
        kind = self._affordable(spec)
        self._check_names(spec.region, settings)
        key = marks.ssh_key_name(spec.ssh_public_key)
        with upkeep.TURNS[(spec.owner.project, spec.owner.stack)]:
            try:
                upkeep.add_ssh_key(self.client, spec.ssh_public_key)
                ruleset_id = upkeep.open_ports(self.client, spec, settings)
                machine_id = self.client.launch(_request(spec, settings, key, ruleset_id, tags))
            except (NoCapacity, QuotaExceeded, InvalidRequest):
                upkeep.tidy(self.client, spec.owner, spec.region, [key])
                raise
        try:
            return _machine(self.client.instance(machine_id))
        except CloudError:  # it exists and bills, whatever became of this look
            return _unseen(machine_id, spec, kind, tags)

    def get(self, machine_id: str) -> Machine:
        """Raises NotFound on Lambda's own word that there is none, Gone where it lists it as ended."""
        return _living(self._instance(machine_id))

    def inventory(self) -> list[Machine]:
        """Everybody's, and for a while those that have ended."""
        rows = self.client.instances()
        return whole(self.name, [_machine(row) for row in rows.read], rows.unread)

    def list(self, owner_project: str | None = None) -> list[Machine]:
        """Every machine with our tags; Lambda lists them all at once."""
        listed = self.client.instances()
        found = [(row, _machine(row)) for row in listed.read if not row.ended]
        return whole(self.name, [m for row, m in found if _listed(row, m, owner_project)], listed.unread)

    def admit(self, owner: Owner, settings: Mapping[str, Any] | None = None) -> None:
        """See `Firewalled`: in the stack's rulesets of all regions."""
        upkeep.admit(self.client, owner, None if settings is None else parse(settings))

    def start(self, machine_id: str) -> Machine:
        """Lambda's machines cannot be stopped, so there is nothing to start."""
        return self.get(machine_id)

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """Asks again until Lambda no longer has it, then removes what only it needed."""
        seen: list[Instance] = []

        def look() -> Machine:
            seen[:] = [self._instance(machine_id)]
            return _living(seen[0])

        Ending(
            self.name, machine_id, lambda: self.client.terminate(machine_id), look, self.inventory,
            f"end it by hand at {INSTANCES_PAGE}", self.visibility_s, age_s, TERMINATE_POLL_S, self.client.clock,
            self.client.sleep,
        ).confirm()  # fmt: skip
        owner = marks.mark(seen[0].tag_values).owner if seen else None
        if owner:
            with upkeep.TURNS[(owner.project, owner.stack)]:
                upkeep.tidy(self.client, owner, seen[0].region.name, seen[0].ssh_key_names, but=machine_id)
            with contextlib.suppress(CloudError):  # it ended, and the next look at any sibling finds the address
                upkeep.admit(self.client, owner, but=machine_id)

    def _instance(self, machine_id: str) -> Instance:
        """From the listing that all waiting threads share; what is not in it, or where there is none, is asked for by
        its id."""
        with contextlib.suppress(Unavailable):
            for found in self.client.instances().read:
                if found.id == machine_id:
                    return found
        return self.client.instance(machine_id)

    def _affordable(self, spec: NodeSpec) -> InstanceType:
        """Raises InvalidRequest for an unknown SKU or region, NoCapacity with the price or with where there is any."""
        types = self.client.instance_types()
        if spec.sku not in types:
            raise InvalidRequest(f"lambda has no SKU {spec.sku!r}: {nearest(spec.sku, types)}")
        kind = types[spec.sku].instance_type
        free = [region.name for region in types[spec.sku].regions_with_capacity_available]
        if spec.region not in free:
            regions = [region.name for region in self.client.regions()]
            if spec.region not in regions:
                raise InvalidRequest(f"lambda has no region {spec.region!r}: {nearest(spec.region, regions)}")
        usd_per_hour = check_quote(self.name, spec.sku, kind.usd_per_hour, spec.max_usd_per_hour)
        if spec.region not in free:
            raise NoCapacity(
                f"lambda has no {spec.sku} free in {spec.region} now (its price is {said(usd_per_hour)}; "
                f"free in: {', '.join(free) or 'no region'})"
            )
        return kind

    def _check_names(self, region: str, settings: LambdaSettings) -> None:
        """Raises InvalidRequest for an image family or a file system that is not there."""
        families = {image.family for image in self.client.images() if image.region.name == region}
        if settings.image_family not in families:
            raise InvalidRequest(
                f"clouds.lambda.imageFamily: lambda has no image family {settings.image_family!r} in {region}: "
                f"{nearest(settings.image_family, families)}"
            )
        if settings.file_systems:
            here = {system.name for system in self.client.file_systems() if system.region.name == region}
            for name in settings.file_systems:
                if name not in here:
                    raise InvalidRequest(
                        f"clouds.lambda.fileSystems: the account has no file system {name!r} in {region}: "
                        f"{nearest(name, here)}"
                    )


NFS = "/lambda/nfs"
"""Where Lambda mounts file systems, each by its name; the first one of a machine is for weights."""


@functools.cache
def _client(config: LambdaConfig) -> LambdaClient:
    return LambdaClient(config, PACE, LAUNCH_PACE)


def _request(
    spec: NodeSpec, settings: LambdaSettings, ssh_key: str, ruleset_id: str, tags: list[dict[str, str]]
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "region_name": spec.region,
        "instance_type_name": spec.sku,
        "ssh_key_names": [ssh_key],
        "name": spec.name,
        "tags": tags,
        "firewall_rulesets": [{"id": ruleset_id}],
        "image": {"family": settings.image_family},
    }
    if settings.file_systems:
        body["file_system_names"] = settings.file_systems
    if spec.host_key is not None:
        body["user_data"] = user_data(spec.host_key)
    return body


def _living(found: Instance) -> Machine:
    """Raises Gone where Lambda lists it as ended."""
    if found.ended:
        raise Gone(f"lambda lists machine {found.id} as {found.status}")
    return _machine(found)


def _machine(found: Instance) -> Machine:
    mark = marks.mark(found.tag_values)
    kind = found.instance_type
    state = STATES.get(found.status, MachineState.UNKNOWN)
    return Machine(
        id=found.id,
        name=found.name or "",
        cloud=LambdaCloud.name,
        region=found.region.name,
        sku=kind.name if kind else "",
        owner=mark.owner,
        state=MachineState.UNKNOWN if "tags" in found.unread else state,
        failure_domain=f"{LambdaCloud.name}/{found.region.name}",
        usd_per_hour=found.usd_per_hour,
        created_at=mark.created_at,
        address=found.ip,
        ports=mark.ports,
        ssh_user="ubuntu",
        weights_root=f"{NFS}/{found.file_system_names[0]}" if found.file_system_names else "",
        status=found.status or "its status cannot be read",
        blame=f"{LambdaCloud.name}/{found.region.name}/{kind.name}" if kind else "",
    )


def _listed(row: Instance, machine: Machine, project: str | None) -> bool:
    if machine.owner is None:
        return "tags" in row.unread
    return project in (None, machine.owner.project)


def _unseen(machine_id: str, spec: NodeSpec, kind: InstanceType, tags: Iterable[Mapping[str, str]]) -> Machine:
    """What Lambda would say of a machine that it has just launched."""
    body = {"id": machine_id, "status": "booting", "name": spec.name, "region": {"name": spec.region}}
    return _machine(Instance.model_validate({**body, "instance_type": kind, "ssh_key_names": [], "tags": tags}))


def _offer(kind: InstanceType, region: str, available: bool) -> Offer:
    return Offer(
        cloud=LambdaCloud.name,
        region=region,
        sku=kind.name,
        usd_per_hour=kind.usd_per_hour,
        available=available,
        gpus=kind.specs.gpus,
        gpu_memory_gib=kind.gpu_memory_gib,
        description=kind.description,
    )
