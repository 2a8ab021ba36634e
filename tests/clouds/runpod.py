"""RunPod, emulated: REST v2 for pods, the catalogue and volumes, and GraphQL's podRentInterruptable and gpuTypes.

REST answers follow the published OpenAPI document (tests/unit/providers/clouds/runpod holds them to it);
GraphQL follows what the SDK `runpod` 1.12 sends and reads.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import unquote

from tests.clouds.foreign import RUNPOD
from tests.clouds.runpod_graphql import QueryRefused, operation, rent_input
from tests.clouds.server import Boot, Booted, Emulator, Fault, Refusal, Request, Route, Window, only
from tests.clouds.veil import Way

GPU = "NVIDIA A100-SXM4-80GB"
TITLES = {
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 409: "Conflict", 422: "Unprocessable Entity", 429: "Too Many Requests",
    500: "Internal Server Error",
}  # fmt: skip
NONE_LEFT = (
    "There are no longer any instances available with the requested specifications. Please refresh and try again."
)
STARTED = datetime(2026, 11, 22, tzinfo=UTC)
CREATE_OPTIONAL = {
    "args", "disk", "env", "image", "ports", "registry", "cloud", "cpu", "dataCenterIds", "globalNetworking", "gpu",
    "mounts", "startJupyter", "startSsh", "templateId",
}  # fmt: skip
ACTIONS = {
    "RUNNING": ["stop", "restart", "terminate"],
    "EXITED": ["start", "terminate"],
    "ERROR": ["start", "terminate"],
}


@dataclass
class Pod:
    """One pod. `order` is the body of POST /v2/pods, whichever API it came by."""

    id: str
    order: dict[str, Any]
    usd_per_hour: float
    data_center: str
    created: float
    boot_s: float
    booted: Booted
    stopped: bool = False
    stuck: bool = False
    failed: bool = False

    @property
    def gpus(self) -> int:
        """What it holds of its data centre's stock."""
        return 0 if self.stopped else int(self.order["gpu"]["count"])


@dataclass
class RunpodEmulator(Emulator):
    """`stock` is the free GPUs of each data centre; tests set it. A pod takes from it while it is not stopped."""

    key: str = "rpa_emulated"
    stock: dict[str, int] = field(default_factory=lambda: {"CA-MTL-1": 16, "EU-RO-1": 16, "US-KS-2": 16})
    usd_per_gpu_hour: float = 1.79
    interruptible_usd_per_gpu_hour: float | None = 0.95
    cuda_versions: tuple[str, ...] = ("12.8", "13.0")
    volumes: dict[str, str] = field(default_factory=lambda: {"vol_weights": "EU-RO-1"})
    """Network volume → data centre."""
    balance: bool = True
    pool: bool = True
    """Whether the account may use the pool."""
    echo: bool = False
    """GraphQL's refusals repeat the query's end, as a careless server's would."""
    per_minute: Window | None = None
    """The quota, read most strictly; None for none."""
    pods: dict[str, Pod] = field(default_factory=dict)
    _count: int = 0
    _made: threading.local = field(default_factory=threading.local)

    creates: ClassVar[re.Pattern[str]] = re.compile(r"/v2/pods|/graphql")
    shapes: ClassVar[Mapping[str, Any]] = RUNPOD

    @property
    def machines(self) -> list[str]:
        """Ids of what bills now: a stopped pod's disk does too."""
        return sorted(self.pods)

    def vanish(self, machine_id: str) -> None:
        """Ends it without anybody having asked."""
        with self.lock:
            self._end(machine_id)

    def routes(self) -> list[Route]:
        pod = r"/v2/pods/(?P<id>[^/]+)"
        return [
            ("GET", r"/v2/pods", self._list),
            ("POST", r"/v2/pods", lambda r: (201, self._shown(self._create(self._checked(r.body))))),
            ("GET", pod, self._get),
            ("DELETE", pod, self._delete),
            ("POST", pod + "/action", self._act),
            ("GET", r"/v2/catalog/gpus/(?P<id>[^/]+)", self._gpu),
            ("GET", r"/v2/catalog/datacenters", lambda r: (200, {"dataCenters": list(map(_center, self.stock))})),
            ("GET", r"/v2/network-volumes/(?P<id>[^/]+)", self._volume),
            ("POST", r"/graphql", self._graphql),
        ]

    def authorize(self, authorization: str) -> None:
        if authorization != f"Bearer {self.key}":
            raise self.unauthorized()

    def unauthorized(self) -> Refusal:
        return _problem(401, "invalid bearer token")

    def failure(self, status: int) -> Refusal:
        return _problem(status, TITLES[status].lower())

    def answer(self, request: Request) -> tuple[int, Any]:
        self._made.pod = False
        if self.per_minute and (wait_s := self.per_minute.wait_s(self.clock())):
            refusal = _problem(429, "rate limit exceeded for the minute window")
            raise Refusal(429, refusal.body, {"Retry-After": str(wait_s)})
        return super().answer(request)

    def take(self, fault: Fault) -> bool:
        """What goes wrong after a creation waits for one: GraphQL's questions are POST too."""
        if fault in (Fault.CREATED_BUT_500, Fault.CREATED_BUT_RESET) and not self._made.pod:
            return False
        return super().take(fault)

    # Pods

    def _checked(self, body: Any) -> dict[str, Any]:
        """The body, by the rules of CreatePodRequest."""
        order = only(body, {"name"}, CREATE_OPTIONAL, _invalid)
        for name, kind in {"name": str, "image": str, "args": str, "disk": int, "ports": list, "env": dict}.items():
            if name in order and (not isinstance(order[name], kind) or isinstance(order[name], bool)):
                raise _invalid(f"{name}: got {type(order[name]).__name__}, want {kind.__name__}")
        if "image" not in order and "templateId" not in order:
            raise _invalid("missing property 'image'")
        if not all(isinstance(value, str) for value in order.get("env", {}).values()):
            raise _invalid("env: values must be strings")
        if order.get("cloud", "SECURE") not in ("SECURE", "COMMUNITY"):
            raise _invalid("cloud: not one of SECURE, COMMUNITY")
        if not order["name"] or order.get("disk", 1) < 1:
            raise _invalid("name or disk too small")
        if ("gpu" in order) == ("cpu" in order):
            raise _problem(400, "exactly one of gpu or cpu must be set")
        gpu = only(order["gpu"], {"id"}, {"count", "allowedCudaVersions", "minCudaVersion"}, _invalid)
        versions = [*gpu.get("allowedCudaVersions", []), *([gpu["minCudaVersion"]] if "minCudaVersion" in gpu else [])]
        if not all(re.fullmatch(r"\d+\.\d+", version) for version in versions):
            raise _invalid("gpu: a CUDA version is major.minor")
        if gpu.get("allowedCudaVersions") and "minCudaVersion" in gpu:
            raise _problem(400, "allowedCudaVersions and minCudaVersion are mutually exclusive")
        if not all(re.fullmatch(r"\d{1,5}/(tcp|http)", port) for port in order.get("ports", [])):
            raise _problem(400, "ports must be given as port/protocol")
        mounts = only(order.get("mounts", {}), set(), {"persistent", "network"}, _invalid)
        if {"persistent", "network"} <= set(mounts) or len(mounts.get("network", [])) > 1:
            raise _problem(400, "at most one mount")
        for mount in mounts.get("network", []):
            only(mount, {"volumeId", "path"}, set(), _invalid)
        return order

    def _create(self, order: dict[str, Any], usd_per_gpu_hour: float | None = None) -> Pod:
        if not self.balance:
            raise _problem(402, "Insufficient balance. Please add credit to your account.")
        if not self.pool:
            raise _problem(403, "your account cannot access the requested pool")
        gpu, count = order["gpu"], order["gpu"].get("count", 1)
        asked = order.get("dataCenterIds") or sorted(self.stock)
        if unknown := [center for center in asked if center not in self.stock]:
            raise _problem(400, f"unknown data center {unknown[0]}")
        for mount in order.get("mounts", {}).get("network", []):
            if self.volumes.get(mount["volumeId"]) not in asked:
                raise _problem(400, "network volume not found in the requested data centers")
        fits = gpu["id"] == GPU and self._cuda(gpu.get("minCudaVersion"), gpu.get("allowedCudaVersions"))
        places = [center for center in asked if fits and self.stock[center] >= count]
        if not places or self.take(Fault.NO_CAPACITY):
            raise _problem(400, NONE_LEFT)
        self._count += 1
        price = usd_per_gpu_hour if usd_per_gpu_hour is not None else self.usd_per_gpu_hour
        boot_s = self.boot_s * (10 if self.take(Fault.SLOW_BOOT) else 1)
        pod_id = f"pod{self._count:04d}"
        pod = Pod(pod_id, order, price * count, places[0], self.clock(), boot_s, self._boot(pod_id, order))
        pod.stuck = self.take(Fault.STUCK)
        self.made(pod_id)
        self.pods[pod_id] = pod
        self.stock[pod.data_center] -= count
        self._made.pod = True
        return pod

    def _boot(self, pod_id: str, order: dict[str, Any]) -> Booted:
        ports = tuple(int(port.split("/")[0]) for port in order.get("ports", []) if port.endswith("/tcp"))
        return self.host.boot(
            Boot(pod_id, command=_command(order.get("args", "")), environment=order.get("env", {}), ports=ports)
        )

    def _end(self, pod_id: str) -> None:
        pod = self.pods.pop(pod_id)
        self.stock[pod.data_center] += pod.gpus
        self.host.end(pod_id)

    def _found(self, request: Request) -> Pod:
        pod_id = unquote(request.found["id"])
        if pod_id in self.pods and request.method == "GET" and self.take(Fault.VANISHED):
            self._end(pod_id)
        if pod_id not in self.pods or not self.shown(pod_id, Way.GET):
            raise _problem(404, "pod not found")
        return self.pods[pod_id]

    def _list(self, request: Request) -> tuple[int, Any]:
        self.check_listing()
        if self.pods and self.take(Fault.VANISHED):
            self._end(next(iter(self.pods)))
        found = [pod for pod in self.pods.values() if self.shown(pod.id, Way.LIST)]
        return 200, {"pods": [*map(self._looked_at, found), *self.strangers()]}

    def _get(self, request: Request) -> tuple[int, Any]:
        return 200, self._looked_at(self._found(request))

    def _looked_at(self, pod: Pod) -> dict[str, Any]:
        shown = self._shown(pod)
        if self.take(Fault.UNKNOWN_STATE):
            shown["status"] = "HIBERNATING"
        return shown

    def _delete(self, request: Request) -> tuple[int, Any]:
        pod = self._found(request)
        if not self.undying:
            self._end(pod.id)
        return 204, None

    def _act(self, request: Request) -> tuple[int, Any]:
        pod, action = self._found(request), only(request.body, {"action"}, set(), _invalid)["action"]
        if action not in ("start", "stop", "restart", "terminate"):
            raise _invalid("action: not one of start, stop, restart, terminate")
        if action not in self._shown(pod)["actions"]:
            raise _problem(409, f"{action} is not valid while the pod is {self._status(pod)}")
        if action == "terminate":
            return self._delete(request)
        if action == "start" and self.stock[pod.data_center] < pod.order["gpu"]["count"]:
            raise _problem(400, "There are not enough free GPUs on the host machine to start this pod.")
        self.stock[pod.data_center] += pod.gpus
        self.host.end(pod.id)
        pod.stopped, pod.failed = action == "stop", False
        if not pod.stopped:  # a reset: the container's disk is wiped, and it is reached under other ports
            pod.booted, pod.created = self._boot(pod.id, pod.order), self.clock()
        self.stock[pod.data_center] -= pod.gpus
        return 200, self._shown(pod)

    def _status(self, pod: Pod) -> str:
        age_s = self.clock() - pod.created
        if pod.stopped:
            return "EXITED"
        if pod.failed:
            return "ERROR"
        if pod.stuck or age_s < pod.boot_s / 2:
            return "PROVISIONING"
        return "STARTING" if age_s < pod.boot_s else "RUNNING"

    def _shown(self, pod: Pod) -> dict[str, Any]:
        order, status, address = pod.order, self._status(pod), pod.booted.address
        runtime = None
        if status == "RUNNING":
            ports = [{"private": a, "public": b, "type": "tcp", "ip": address} for a, b in pod.booted.ports.items()]
            runtime = {"uptime": int(self.clock() - pod.created), "gpus": [], "ports": ports}
        return {
            "id": pod.id, "name": order["name"], "status": status,
            "actions": ACTIONS.get(status, ["stop", "terminate"]),
            "image": order.get("image", ""), "args": order.get("args", ""), "disk": order.get("disk", 50),
            "mounts": order.get("mounts", {}), "ports": order.get("ports", []),
            "env": order.get("env", {}) if self.shown(pod.id, Way.TAGS) else {},
            "registry": None, "gpu": {"id": order["gpu"]["id"], "count": order["gpu"].get("count", 1)},
            "cloud": order.get("cloud", "SECURE"),
            "dataCenterId": None if status == "PROVISIONING" else pod.data_center,
            "cudaVersion": self.cuda_versions[-1], "ssh": {"proxy": None, "direct": None}, "template": None,
            "cost": 0.0 if pod.stopped else self.costs.get(pod.id, round(pod.usd_per_hour, 4)),
            "locked": False, "runtime": runtime,
            "createdAt": _time(pod.created), "startedAt": _time(pod.created + pod.boot_s) if runtime else None,
            "globalNetworking": {"enabled": False},
        }  # fmt: skip

    # The catalogue

    def _cuda(self, floor: str | None, allowed: list[str] | None = None) -> list[str]:
        return [
            v for v in self.cuda_versions if _version(v) >= _version(floor or "0") and (not allowed or v in allowed)
        ]

    def _gpu(self, request: Request) -> tuple[int, Any]:
        if unquote(request.found["id"]) != GPU:
            raise _problem(404, "gpu type not found")
        query, asked = request.query, request.query.get("include") == "AVAILABILITY"
        if asked != ("product" in query) or (not asked and {"count", "cloud", "minCudaVersion"} & set(query)):
            raise _problem(400, "include=AVAILABILITY and product go together")
        gpu: dict[str, Any] = {
            "id": GPU, "name": "A100 SXM", "pool": "AMPERE_80", "manufacturer": "NVIDIA", "memory": 80, "secure": True,
            "community": True, "price": {"secure": self.usd_per_gpu_hour, "community": 1.39},
            "maxCount": {"secure": 8, "community": 8},
        }  # fmt: skip
        if asked:
            count, versions = int(query.get("count", "1")), self._cuda(query.get("minCudaVersion"))
            free = {center: gpus // count if versions else 0 for center, gpus in sorted(self.stock.items())}
            gpu["availability"] = _level(max(free.values(), default=0))
            gpu["cudaVersions"] = [{"version": version, "available": any(free.values())} for version in versions]
            if any(free.values()):
                gpu["dataCenters"] = [{"id": c, "name": c, "availability": _level(n)} for c, n in free.items()]
        return 200, gpu

    def _volume(self, request: Request) -> tuple[int, Any]:
        volume_id = unquote(request.found["id"])
        if volume_id not in self.volumes:
            raise _problem(404, "network volume not found")
        at = self.volumes[volume_id]
        return 200, {"id": volume_id, "name": "weights", "size": 400, "dataCenter": at, "type": "STANDARD"}

    # GraphQL

    def _graphql(self, request: Request) -> tuple[int, Any]:
        query = str((request.body or {}).get("query", ""))
        try:
            name, arguments = operation(query)
            if name == "gpuTypes":
                return 200, {"data": {"gpuTypes": self._gpu_types(arguments)}}
            if name == "podRentInterruptable":
                return 200, {"data": {name: {"id": self._rent(rent_input(arguments)).id}}}
            raise QueryRefused(f'Cannot query field "{name}".')
        except Refusal as e:
            message = str(e.body["detail"])
        except QueryRefused as e:
            message = str(e)
        return 200, {"errors": [{"message": message + (query[-150:] if self.echo else "")}], "data": None}

    def _gpu_types(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        if arguments.get("input") != {"id": GPU}:
            return []
        return [{"id": GPU, "secureSpotPrice": self.interruptible_usd_per_gpu_hour}]

    def _rent(self, given: dict[str, Any]) -> Pod:
        price = self.interruptible_usd_per_gpu_hour
        if price is None or given["bidPerGpu"] < price:
            raise _problem(400, "Your bid is below the minimum bid price.")
        gpu = {"id": given["gpuTypeId"], "count": given.get("gpuCount", 1)}
        if "allowedCudaVersions" in given:
            gpu["allowedCudaVersions"] = given["allowedCudaVersions"]
        order = {
            "name": given["name"], "image": given["imageName"], "args": given.get("dockerArgs", ""), "gpu": gpu,
            "disk": given["containerDiskInGb"], "ports": given["ports"].split(","), "cloud": given["cloudType"],
            "env": {pair["key"]: pair["value"] for pair in given.get("env", [])},
        }  # fmt: skip
        if "dataCenterId" in given:
            order["dataCenterIds"] = [given["dataCenterId"]]
        if "networkVolumeId" in given:
            mount = {"volumeId": given["networkVolumeId"], "path": given["volumeMountPath"]}
            order["mounts"] = {"network": [mount]}
        return self._create(self._checked(order), float(given["bidPerGpu"]))


def _command(args: str) -> tuple[str, ...]:
    """What runs: JSON with entrypoint and cmd replaces the image's, as it does in GraphQL's dockerArgs."""
    try:
        given = json.loads(args)
    except ValueError:
        return tuple(args.split())
    return (*given.get("entrypoint", ()), *given.get("cmd", ()))


def _problem(status: int, detail: str, errors: list[str] | None = None) -> Refusal:
    """RFC 9457, as ErrorResponse."""
    body: dict[str, Any] = {"title": TITLES[status], "status": status, "detail": detail}
    return Refusal(status, {**body, "errors": errors} if errors else body)


def _invalid(what: str) -> Refusal:
    return _problem(422, "Request validation failed.", [f"$: {what}"])


def _center(center: str) -> dict[str, Any]:
    return {
        "id": center, "name": center, "region": "UNKNOWN", "networkVolumeTypes": [], "compliance": [],
        "globalNetwork": False,
    }  # fmt: skip


def _level(pods: int) -> str:
    return ("NONE", "LOW", "MEDIUM", "HIGH")[min(pods, 3)]


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _time(clock_s: float) -> str:
    return (STARTED + timedelta(seconds=clock_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
