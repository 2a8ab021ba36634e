"""Pure translation: what we want → RunPod's order, RunPod's pod → Machine.

RunPod has no tags. The mark and what the API does not give back (SKU, asked region, names of ports) travel in the
pod's environment, which GET /pods returns; the name is the deterministic one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from providers.base import Machine, MachineState, NodeSpec
from providers.clouds.runpod.config import PodSize, RunpodSettings
from providers.errors import InvalidRequest
from providers.renting.answers.price import usd
from providers.renting.firstboot import ENTRY, environment
from providers.renting.naming import mark, owner_of

OWNER = "CROSSOVER_OWNER"
"""The ownership mark (providers.renting.naming.mark)."""
LAUNCH = "CROSSOVER_LAUNCH"
"""JSON: {"region": data centre, "sku", "ports": service → inner port, "volume": its folder} as they were asked for."""

STATES = {
    "PROVISIONING": MachineState.PENDING,
    "STARTING": MachineState.PENDING,
    "RUNNING": MachineState.RUNNING,
    "EXITED": MachineState.STOPPED,
    "ERROR": MachineState.STOPPED,  # the API lets both be started again
    "TERMINATED": MachineState.TERMINATED,
}

START = json.dumps({"entrypoint": ["sh", "-c"], "cmd": [ENTRY]})
"""Replaces the image's own entrypoint (vLLM's would start vLLM). The description of v2 knows `args` alone, a text;
this JSON in it, GraphQL's `dockerArgs`, is how dstack starts its containers there."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What the pod was ordered with; empty where somebody edited the pod's environment."""

    region: str = ""
    sku: str = ""
    ports: Mapping[str, int] | None = None
    volume: str = ""
    """Where its network volume is mounted."""

    @classmethod
    def of(cls, env: Mapping[str, Any]) -> Launch:
        """Never raises: a pod that cannot be read must still be listed, as it bills."""
        try:
            kept = json.loads(env.get(LAUNCH, "{}"))
            ports = {str(service): int(port) for service, port in kept.get("ports", {}).items()}
            return cls(str(kept.get("region", "")), str(kept.get("sku", "")), ports, str(kept.get("volume", "")))
        except (ValueError, TypeError, AttributeError):
            return cls()


def order(spec: NodeSpec, sku: PodSize, settings: RunpodSettings, data_center: str) -> dict[str, Any]:
    """The body of POST /pods (CreatePodRequest)."""
    if spec.host_key is None:
        raise InvalidRequest("runpod reports no SSH host keys: a pod must be launched with a one-use host key")
    mounted = {} if settings.volume_id is None else {"volume": settings.volume_mount_path}
    kept = {"region": data_center, "sku": spec.sku, "ports": dict(spec.ports), **mounted}
    body: dict[str, Any] = {
        "name": spec.name,
        "cloud": "SECURE",
        "image": settings.image,
        "args": START,
        "gpu": {"id": sku.gpu_id, "count": sku.count, "minCudaVersion": settings.min_cuda_version},
        "disk": settings.disk_gb,
        "ports": [f"{port}/tcp" for port in sorted(set(spec.ports.values()))],
        "env": {
            OWNER: mark(spec.owner),
            LAUNCH: json.dumps(kept, sort_keys=True),
            **environment(spec.ssh_public_key, spec.host_key.private),
        },
        "dataCenterIds": [data_center],
    }
    if settings.volume_id is not None:
        body["mounts"] = {"network": [{"volumeId": settings.volume_id, "path": settings.volume_mount_path}]}
    return body


def machine(pod: Mapping[str, Any]) -> Machine:
    """The pod (schema Pod) as a Machine, in as much as it can be read: it may be somebody else's, and of any shape.
    Ports are those of now: a reset gives a pod other ones."""
    env = pod.get("env") or {}
    marked = isinstance(env, dict)
    launch = Launch.of(env) if marked else Launch()
    outer, address = _reached(pod.get("runtime"))
    region = str(pod.get("dataCenterId") or launch.region)
    gpu = pod.get("gpu")
    status = str(pod.get("status") or "its status cannot be read")
    return Machine(
        id=str(pod.get("id", "")),
        name=str(pod.get("name") or ""),
        cloud="runpod",
        region=region,
        sku=launch.sku or str(gpu.get("id", "") if isinstance(gpu, dict) else ""),
        owner=owner_of(str(env.get(OWNER, ""))) if marked else None,
        state=STATES.get(status, MachineState.UNKNOWN) if marked else MachineState.UNKNOWN,
        failure_domain=f"runpod/{region}",
        usd_per_hour=usd_per_hour(pod.get("cost")),
        created_at=str(pod.get("createdAt") or ""),
        address=address,
        ports={service: outer[port] for service, port in (launch.ports or {}).items() if port in outer},
        listen=launch.ports or {},
        ssh_user="root",
        weights_root=launch.volume,
        loses_disk=True,
        status=status,
        blame=f"runpod/{region}",
    )


def listed(pod: Mapping[str, Any], found: Machine, project: str | None) -> bool:
    """Whether a listing shows the pod's machine: ours, and what has an environment that cannot be read."""
    if found.state is MachineState.TERMINATED:
        return False
    if found.owner is None:
        return not isinstance(pod.get("env") or {}, dict)
    return project in (None, found.owner.project)


def _reached(runtime: Any) -> tuple[dict[int, int], str | None]:
    """Inner port → outer port, and the address."""
    ports = runtime.get("ports") if isinstance(runtime, dict) else None
    found = [
        port
        for port in (ports if isinstance(ports, list) else ())
        if isinstance(port, dict) and port.get("type") == "tcp" and isinstance(port.get("ip"), str) and port["ip"]
        and all(isinstance(port.get(side), int) and port[side] for side in ("private", "public"))
    ]  # fmt: skip
    return {port["private"]: port["public"] for port in found}, found[0]["ip"] if found else None


def usd_per_hour(told: Any) -> Decimal | None:
    """A price that JSON carries as a (single precision) float, to a hundredth of a cent; None where it is none."""
    found = usd(told)
    return None if found is None else usd(str(round(float(found), 4)))
