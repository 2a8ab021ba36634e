"""What an install needs to know of a machine, as the plain value that travels through the engine: made here alone, and
read by `providers.__main__`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from providers.base import Machine, MachineState


def placement(machine: Machine) -> dict[str, Any]:
    """Nothing that changes while the machine lives; `tunnel` and `scratch` only where it has one."""
    rare = {"tunnel": machine.tunnel, "scratch": machine.scratch}
    return {
        "id": f"{machine.cloud}/{machine.id}",
        "address": machine.address or "",
        "ports": dict(machine.ports),
        "listen": dict(machine.listen or machine.ports),
        "bind": machine.bind,
        "sshUser": machine.ssh_user,
        "hostKey": machine.host_key,
        "root": machine.root,
        "cache": machine.cache,
        "supervision": machine.supervision,
        **{key: value for key, value in rare.items() if value},
    }


def placed(cloud: str, machine_id: str, name: str = "", **known: Any) -> Machine:
    """A machine of which no more is known than `known`, in the words of Machine."""
    return Machine(
        id=machine_id, name=name, cloud=cloud, region="", sku="", owner=None, state=MachineState.UNKNOWN,
        failure_domain="", usd_per_hour=Decimal(0), created_at="", **known,
    )  # fmt: skip


def machine_of(placement: Mapping[str, Any], name: str) -> Machine:
    """The machine of a placement, as far as that tells."""
    cloud, _, machine_id = placement["id"].partition("/")
    return placed(
        cloud,
        machine_id,
        name,
        address=placement["address"],
        ports=placement["ports"],
        ssh_user=placement["sshUser"],
        host_key=placement["hostKey"],
        supervision=placement["supervision"],
        tunnel=placement.get("tunnel", ""),
    )
