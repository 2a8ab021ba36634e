"""A machine as it stands in the state: what an install needs to know of it, its id, and whether it is still there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from images.remote.errors import RemoteError
from images.remote.host import Host
from images.remote.waiting import Waiting
from providers.base import GATEWAY_SUFFIX, Clouds, Machine, MachineState, Owner, placed
from providers.errors import CloudError, Gone, Incomplete, InvalidRequest, Missing
from providers.plugin.node_inputs import STACK_ID
from providers.plugin.values import Plain
from providers.renting.answers.rows import listed
from providers.renting.contact import WayIn, identified, tunnel_to
from providers.renting.presence.looking import present
from strict.names import GATEWAY_PORT, GATEWAY_ROLE, SSH_PORT

VACANT = "vacant"
"""Stands in place of a cloud's name in the id of a node without a machine."""


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


def host_of(machine: Plain, clouds: Clouds, server_name: str = "") -> Host:
    """It as the installer sees it. Raises InvalidRequest where there is no way in."""
    return Host(
        supervision=machine["supervision"],
        address=machine["address"],
        ssh_port=int(machine["ports"]["ssh"]),
        ssh_user=machine["sshUser"],
        host_key=machine["hostKey"],
        root=machine["root"],
        cache=machine["cache"],
        bind=machine["bind"],
        ports={name: int(port) for name, port in machine["listen"].items()},
        server_name=server_name,
        tunnel=tunnel_to(machine_of(machine), clouds),
        scratch=machine.get("scratch", ""),
        weights_root=machine.get("weightsRoot", ""),
    )


def is_vacant(machine: Plain) -> bool:
    """Whether the output `machine` of a node stands for none."""
    return str(machine["id"]).startswith(f"{VACANT}/")


def look(resource_id: str, clouds: Clouds, waiting: Waiting) -> Machine | None:
    """The machine, by one look; None where its cloud says that it ended, or this computer's own disk that it is not
    there. All else is raised and is no absence: Missing where it is not shown now."""
    cloud_name, machine_id = split(resource_id)
    cloud = clouds(cloud_name)
    try:
        return present(cloud, machine_id, waiting, window_s=0.0)
    except Gone:
        return None
    except Missing:
        if cloud.visibility_s == 0:
            return None
        raise


def owner_of(values: Plain, clouds: Clouds, waiting: Waiting) -> Owner | None:
    """Whose the machine of an install is; None where its cloud cannot show it, which the install will tell."""
    try:
        machine = look(str(values["machine"]["id"]), clouds, waiting)
    except RemoteError:
        return None
    return None if machine is None else _owner(machine, values.get(STACK_ID, ""))


def _owner(machine: Machine, stack_id: str) -> Owner | None:
    """By its mark. It is in the state, and so the stack's, also where its mark cannot tell the identity."""
    return machine.owner and replace(machine.owner, stack_id=machine.owner.stack_id or stack_id)


def gateways_of(owner: Owner, clouds: Clouds, cloud_names: Sequence[str], waiting: Waiting) -> list[Machine]:
    """The machines of the owner's stack that run and may carry a gateway, each with the root of that. Found by their
    mark, at run time: the gateway depends on the nodes, so no node's inputs can name it."""
    found: list[Machine] = []
    for name in cloud_names:
        try:
            machines = clouds(name).list(owner.project)
        except Incomplete as e:
            waiting.say(f"cannot look for a gateway everywhere at {name}: {e}")
            machines = [*e.found]
        except CloudError as e:
            waiting.say(f"cannot look for a gateway at {name}: {e}")
            continue
        found += [
            _gateway_on(m)
            for m in machines
            if m.owner and m.owner.same_stack(owner)
            and GATEWAY_PORT in m.ports and m.state is MachineState.RUNNING
        ]  # fmt: skip
    return found


def siblings_of(
    machine_id: str, ssh_private_key: str, clouds: Clouds, waiting: Waiting, stack_id: str = ""
) -> Iterator[Machine]:
    """Machines that run beside that one ("cloud/machine id") in its fleet and cloud. They are an offer on which nothing
    depends: where they cannot be looked for, there are none."""
    try:
        me = look(machine_id, clouds, waiting)
        if me is None or (owner := _owner(me, stack_id)) is None:
            return
        for other in listed(clouds(me.cloud), owner.project, waiting.say):
            beside = other.id != me.id and other.owner is not None and other.owner.same_fleet(owner)
            if beside and other.state is MachineState.RUNNING and SSH_PORT in other.ports:
                way = WayIn(tunnel_to(other, clouds), waiting.cancelled)
                known = identified(other, [ssh_private_key], way)
                yield replace(known, supervision=known.supervision or "systemd")
    except RemoteError as e:
        waiting.say(f"cannot look for weights on other nodes: {e}")


def _gateway_on(machine: Machine) -> Machine:
    """With the root of its gateway: a machine that serves has another bundle in its own."""
    serves = machine.owner is not None and machine.owner.role != GATEWAY_ROLE
    return replace(machine, root=f"{machine.root}{GATEWAY_SUFFIX}") if serves else machine


def split(resource_id: str) -> tuple[str, str]:
    """Cloud and machine id of "cloud/machine id". Raises InvalidRequest."""
    cloud_name, _, machine_id = resource_id.partition("/")
    if not machine_id:
        raise InvalidRequest(f"{resource_id!r} is no id of a node: they look like local/m-1a2b3c4d")
    return cloud_name, machine_id
