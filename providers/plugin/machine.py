"""A machine as it stands in the state: what an install needs to know of it, its id, and whether it is still there."""

from __future__ import annotations

from typing import Any

from images.remote.waiting import Waiting
from providers.base import Clouds, Machine, MachineState, placed
from providers.errors import InvalidRequest, NotFound
from providers.plugin.values import Plain

VACANT = "vacant"
"""Stands in place of a cloud's name in the id of a node without a machine."""
LOOKS_BEFORE_GONE = 2
"""How often a cloud must say "not found" before a machine counts as gone."""


def machine_of(host: Plain, name: str = "") -> Machine:
    """The machine of a host (`providers.base.plain_host`), as far as that tells."""
    cloud, _, machine_id = host["id"].partition("/")
    known: dict[str, Any] = {
        "address": host["address"],
        "ports": host["ports"],
        "ssh_user": host["sshUser"],
        "host_key": host["hostKey"],
        "supervision": host["supervision"],
        "tunnel": host.get("tunnel", ""),
    }
    return placed(cloud, machine_id, name, **known)


def is_vacant(machine: Plain) -> bool:
    """Whether the output `machine` of a node stands for none."""
    return str(machine["id"]).startswith(f"{VACANT}/")


def look(resource_id: str, clouds: Clouds, waiting: Waiting) -> Machine | None:
    """The machine, or None on a repeated not-found. All else that a cloud may say is raised, and is no absence."""
    cloud_name, machine_id = split(resource_id)
    for attempt in range(LOOKS_BEFORE_GONE):
        try:
            machine = clouds(cloud_name).get(machine_id)
        except NotFound:
            if attempt + 1 < LOOKS_BEFORE_GONE:
                waiting.pause(0.2)
            continue
        return None if machine.state is MachineState.TERMINATED else machine
    return None


def split(resource_id: str) -> tuple[str, str]:
    """Cloud and machine id of "cloud/machine id". Raises InvalidRequest."""
    cloud_name, _, machine_id = resource_id.partition("/")
    if not machine_id:
        raise InvalidRequest(f"{resource_id!r} is no id of a node: they look like local/m-1a2b3c4d")
    return cloud_name, machine_id
