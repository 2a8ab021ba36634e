"""What EC2 tells of instances and volumes, in the words of every other cloud: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from providers.base import Machine, MachineState
from providers.clouds.aws.session import tunnel
from providers.clouds.aws.tags import WAY_IN, owner_in, ports_of, usd_per_hour_of
from strict.names import GATEWAY_ROLE

STATES: Mapping[str, MachineState] = {
    "pending": MachineState.PENDING,
    "running": MachineState.RUNNING,
    "stopping": MachineState.STOPPED,
    "stopped": MachineState.STOPPED,
    "shutting-down": MachineState.TERMINATING,
    "terminated": MachineState.TERMINATED,
}
SSH_USER = "ubuntu"
"""Of Ubuntu's images and of the Deep Learning AMIs made from them."""
NVME = "/opt/dlami/nvme"
"""Where the Deep Learning AMIs mount the machine's own NVMe, by their service dlami-nvme."""
GP3_USD_PER_GIB_MONTH = Decimal("0.08")
"""gp3 in us-east-1 without extra IOPS: recalled, not looked up. It tells the order of what a lone volume costs."""
HOURS_PER_MONTH = 730
VOLUME = "vol-"
"""How a volume's id begins."""


def instances(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of an answer to DescribeInstances."""
    return [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]


def state(thing: Mapping[str, Any]) -> str:
    """An instance's state, or a volume's, in EC2's words."""
    found = thing["State"]
    return str(found if isinstance(found, str) else found["Name"])


def tags(thing: Mapping[str, Any]) -> dict[str, str]:
    """Tags as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", ())}


def scratch(role: str) -> str:
    """Where a machine of that role has fast disks: a gateway's has none."""
    return "" if role == GATEWAY_ROLE else NVME


def machine(instance: Mapping[str, Any], region: str) -> Machine:
    """An instance. `host_key` is empty: first contact settles it."""
    known = tags(instance)
    status, owner = state(instance), owner_in(known)
    return Machine(
        id=instance["InstanceId"],
        name=known.get("Name", ""),
        cloud="aws",
        region=region,
        sku=instance["InstanceType"],
        owner=owner,
        state=STATES.get(status, MachineState.UNKNOWN),
        failure_domain=f"aws/{instance['Placement']['AvailabilityZone']}",
        usd_per_hour=usd_per_hour_of(known),
        created_at=_first(_times(instance)),
        # As providers.clouds.aws.resources.node has it: inside the VPC the public name is the private address.
        address=instance.get("PublicDnsName") or instance.get("PrivateIpAddress"),
        ports=ports_of(known),
        ssh_user=SSH_USER,
        supervision="systemd",
        tunnel=tunnel(region, instance["InstanceId"]) if known.get(WAY_IN) == "ssm" else "",
        scratch=scratch(owner.role) if owner else "",
        status=status,
    )


def _times(instance: Mapping[str, Any]) -> Iterable[datetime]:
    """When it was launched or started last, and when its volumes were attached: the earliest is its birth."""
    yield instance["LaunchTime"]
    for device in instance.get("BlockDeviceMappings", ()):
        if attached := device.get("Ebs", {}).get("AttachTime"):
            yield attached


def _first(times: Iterable[datetime]) -> str:
    return min(times).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def volume(found: Mapping[str, Any], region: str) -> Machine:
    """A volume that outlived its machine: it bills, and nothing runs on it."""
    known, gib = tags(found), int(found["Size"])
    return Machine(
        id=found["VolumeId"],
        name=known.get("Name", ""),
        cloud="aws",
        region=region,
        sku=f"{found['VolumeType']} {gib} GiB",
        owner=owner_in(known),
        state=MachineState.STOPPED,
        failure_domain=f"aws/{found['AvailabilityZone']}",
        usd_per_hour=volume_usd_per_hour(gib),
        created_at=_first([found["CreateTime"]]),
        status="a volume without a machine",
    )


def volume_usd_per_hour(gib: int) -> Decimal:
    """What a volume costs that nothing uses."""
    return (GP3_USD_PER_GIB_MONTH * gib / HOURS_PER_MONTH).quantize(Decimal("0.000001"))
