"""What a stack says of itself: its outputs, and the machines in its state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from providers.clouds import aws
from providers.clouds.aws.tags import USD_PER_HOUR, owner_in
from scripts.crossover.stack.engine import StackError, pulumi
from strict.names import AWS_INSTANCE, AWS_NODE, CREDENTIALS, INSTALL, NODE, name_of, stack_id_of

MACHINES = (NODE, AWS_INSTANCE)
"""The resources that are machines. The parent of one at AWS, of AWS_NODE, has the outputs of a Node."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """A running stack's outputs. `key` is the endpoint's secret; it and `monitoring_key` are secret."""

    endpoint: str
    addresses: tuple[str, ...]
    """"host:port" of every gateway."""
    ca_certificate: str
    """PEM; signs the endpoint's certificate where its URL is https."""
    key: str
    model: str
    managed_models: tuple[str, ...]
    prometheus: str
    """URL on the first gateway's machine."""
    alertmanager: str
    """As `prometheus`."""
    monitoring_key: str = ""
    """The password of both, of the user `crossover`; empty in a stack of an older version, which asked for none."""

    @property
    def here(self) -> bool:
        """Whether the first gateway's machine is this computer."""
        return bool(self.addresses) and self.addresses[0].startswith("127.0.0.1:")


def outputs(stack: str) -> Outputs:
    """Raises StackError where the stack does not exist or has not come up."""
    values = json.loads(pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack))
    try:
        return Outputs(
            endpoint=values["endpoint"],
            addresses=tuple(values["endpointAddresses"]),
            ca_certificate=values["caCertificate"],
            key=values["endpointKey"],
            model=values["model"],
            managed_models=tuple(values["managedModels"]),
            prometheus=values["prometheus"],
            alertmanager=values["alertmanager"],
            monitoring_key=values.get("monitoringKey", ""),
        )
    except KeyError as e:
        raise StackError(f"stack {stack} has no output {e}: it is not up; run `make up`") from None


def nodes(stack: str) -> list[dict[str, Any]]:
    """`nodes_among` the stack's resources. Raises StackError."""
    return nodes_among(resources(stack))


def nodes_among(known: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of every Node of a state, and the same of every machine at AWS; secrets left encrypted."""
    found = [r for r in known if not r.get("delete")]
    components = {r["urn"]: r.get("outputs") or {} for r in found if r["type"] == AWS_NODE}
    return [
        {
            "id": machine_id(r),
            "initErrors": r.get("initErrors") or [],
            **(_instance(r, components) if r["type"] == AWS_INSTANCE else r.get("outputs", {})),
        }
        for r in found
        if r["type"] == NODE or (r["type"] == AWS_INSTANCE and r.get("parent") in components)
    ]


def installs(stack: str) -> dict[str, dict[str, Any]]:
    """ "key-role" → what is installed there: the outputs, and `initErrors`, why the last install failed."""
    found = [r for r in resources(stack) if r["type"] == INSTALL and not r.get("delete")]
    return {name_of(r["urn"]): {"initErrors": r.get("initErrors") or [], **(r.get("outputs") or {})} for r in found}


def _instance(instance: dict[str, Any], components: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What a Node's outputs would tell. Those of the component are missing where the `up` that made it was cut off."""
    outputs = instance.get("outputs") or {}
    tags = outputs.get("tags") or {}
    owner = owner_in(tags)
    return {
        "failureDomain": f"{aws.NAME}/{outputs.get('availabilityZone', '')}",
        "usdPerHour": tags.get(USD_PER_HOUR, ""),
        **components[instance["parent"]],
        "key": owner.key if owner else name_of(instance["urn"]),
        "role": owner.role if owner else "",
    }


def machine_id(node: dict[str, Any]) -> str:
    """ "cloud/machine id" of a Node, or of an instance at AWS, in the state; "vacant/name" where it has no machine. A
    node that was vacant keeps its resource's id, so the outputs are what counts."""
    if node["type"] == AWS_INSTANCE:
        return f"{aws.NAME}/{node['id']}" if node.get("id") else ""
    machine = (node.get("outputs") or {}).get("machine") or {}
    return str(machine.get("id") or node.get("id") or "")


def resources(stack: str) -> list[dict[str, Any]]:
    """All resources of the stack's state, secrets left encrypted. Raises StackError."""
    return list(_deployment(stack).get("resources") or [])


@dataclass(frozen=True, slots=True)
class Known:
    """What one state knows of machines."""

    machines: frozenset[str]
    """Ids "cloud/machine id", of those that are to be deleted too."""
    busy: bool
    """An operation on a machine has begun and not ended: it runs, or was killed."""
    stack_id: str = ""
    """The stack's identity; empty where it has never come up, or was destroyed."""


def known_machines(stack: str) -> Known:
    """Raises StackError where the state cannot be read."""
    deployment = _deployment(stack)
    found = deployment.get("resources") or []
    rented = [r for r in found if r["type"] in MACHINES]
    credentials = [str(r.get("id") or "") for r in found if r["type"] == CREDENTIALS and not r.get("delete")]
    pending = deployment.get("pending_operations") or []
    return Known(
        machines=frozenset(known for r in rented if (known := machine_id(r))),
        busy=any(operation["resource"]["type"] in MACHINES for operation in pending),
        stack_id=next((stack_id_of(known) for known in credentials if known), ""),
    )


def exported(stack: str) -> dict[str, Any]:
    """The stack's state as the engine writes and reads it, secrets left encrypted. Raises StackError."""
    found: dict[str, Any] = json.loads(pulumi("stack", "export", "--stack", stack))
    return found


def _deployment(stack: str) -> dict[str, Any]:
    return exported(stack).get("deployment") or {}
