"""Lambda's Cloud API v1 on loopback: what its OpenAPI document 1.10.0 describes, of what this project calls.

Rulesets are enforced where machines really run; what they do not let in is reset, where Lambda may drop it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any, ClassVar

from tests.clouds.foreign import LAMBDA
from tests.clouds.lambdalabs_bodies import (
    AddKey,
    AddRuleset,
    Family,
    Id,
    Launch,
    PatchRuleset,
    Terminate,
    missing,
    parsed,
    refusal,
)
from tests.clouds.server import Boot, Booted, Emulator, Fault, Refusal, Request, Route
from tests.clouds.veil import Way

API = "/api/v1"
CREATED = "2026-11-22T10:00:00+00:00"
USER = {"id": "u1", "email": "somebody@example.com", "status": "active"}
REGIONS = {
    "us-east-1": "Virginia, USA",
    "us-west-1": "California, USA",
    "us-west-2": "Arizona, USA",
    "europe-central-1": "Germany",
}
TYPES = {
    "gpu_8x_a100_80gb_sxm4": ("8x A100 (80 GB SXM4)", "A100 (80 GB SXM4)", 2232, (240, 1800, 19456, 8)),
    "gpu_8x_a100": ("8x A100 (40 GB SXM4)", "A100 (40 GB SXM4)", 1592, (124, 1800, 6144, 8)),
    "gpu_8x_h100_sxm5": ("8x H100 (80 GB SXM5)", "H100 (80 GB SXM5)", 3192, (208, 1800, 22528, 8)),
    "gpu_4x_h100_sxm5": ("4x H100 (80 GB SXM5)", "H100 (80 GB SXM5)", 1636, (104, 900, 11264, 4)),
    "gpu_2x_h100_sxm5": ("2x H100 (80 GB SXM5)", "H100 (80 GB SXM5)", 838, (52, 450, 5632, 2)),
    "gpu_1x_h100_sxm5": ("1x H100 (80 GB SXM5)", "H100 (80 GB SXM5)", 429, (26, 225, 2816, 1)),
    "gpu_1x_a10": ("1x A10 (24 GB PCIe)", "A10 (24 GB PCIe)", 129, (30, 200, 1434, 1)),
}
"""Name → (description, of the GPU, US cents an hour, (vCPUs, GiB of memory, GiB of storage, GPUs))."""
FAMILIES = ("lambda-stack-24-04", "lambda-stack-22-04", "ubuntu-24-04")


@dataclass
class Instance:
    """One machine. It boots until `ready_at` and, once terminating, is gone at `gone_at` (seconds of the clock)."""

    id: str
    launch: Launch
    booted: Booted
    ready_at: float
    gone_at: float | None = None
    status: str | None = None
    """Shown instead of what time would tell, once a test sets it."""


@dataclass
class LambdaEmulator(Emulator):
    """`capacity` is how many more of a SKU a region has; `terminate_s` is how long a machine takes to end.

    `interval_s` and `launch_interval_s` are the rate limits; 0 switches them off. `quota` is for instances.
    """

    key: str = field(default_factory=lambda: f"emulated-{secrets.token_hex(12)}")
    capacity: dict[tuple[str, str], int] = field(default_factory=dict)
    prices_cents: dict[str, int] = field(default_factory=lambda: {name: row[2] for name, row in TYPES.items()})
    terminate_s: float = 0.0
    interval_s: float = 0.0
    launch_interval_s: float = 0.0
    quota: int = 1000
    elsewhere: str = "203.0.113.7"
    """From which address all that is no machine of Lambda's connects: the tests, and machines of other vendors."""
    file_systems: dict[str, str] = field(default_factory=lambda: {"weights": "us-east-1", "far": "us-west-1"})
    """Name → region."""
    ssh_keys: dict[str, dict[str, str]] = field(default_factory=dict)
    rulesets: dict[str, dict[str, Any]] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    refusals: list[tuple[Request, int, Any]] = field(default_factory=list)
    """Every error answer, for validation against Lambda's description."""
    launches: int = 0
    _next_at: float = float("-inf")
    _next_launch_at: float = float("-inf")

    creates: ClassVar[re.Pattern[str]] = re.compile(f"{API}/instance-operations/launch")
    shapes: ClassVar[Mapping[str, Any]] = LAMBDA

    def __post_init__(self) -> None:
        for region in REGIONS:
            for name in TYPES:
                self.capacity.setdefault((region, name), 40)

    @property
    def machines(self) -> list[str]:
        """Ids of what bills now."""
        with self.lock:
            self._settle()
            return list(self.instances)

    def vanish(self, machine_id: str) -> None:
        """Ends a machine behind everybody's back."""
        with self.lock:
            self._remove(machine_id)

    def answer(self, request: Request) -> tuple[int, Any]:
        try:
            self._limit(request)
            return super().answer(request)
        except Refusal as e:
            self.refusals.append((request, e.status, e.body))
            raise

    def routes(self) -> list[Route]:
        one = r"(?P<id>[^/]+)"
        return [
            ("GET", f"{API}/instances", self._list),
            ("GET", f"{API}/instances/{one}", self._get),
            ("POST", f"{API}/instance-operations/launch", self._launch),
            ("POST", f"{API}/instance-operations/terminate", self._terminate),
            ("GET", f"{API}/instance-types", self._types),
            ("GET", f"{API}/regions", lambda _: self._data([_region(name) for name in REGIONS])),
            ("GET", f"{API}/images", self._images),
            ("GET", f"{API}/file-systems", self._file_systems),
            ("GET", f"{API}/ssh-keys", lambda _: self._data(list(self.ssh_keys.values()))),
            ("POST", f"{API}/ssh-keys", self._add_key),
            ("DELETE", f"{API}/ssh-keys/{one}", self._delete_key),
            ("GET", f"{API}/firewall-rulesets", self._rulesets),
            ("POST", f"{API}/firewall-rulesets", self._add_ruleset),
            ("PATCH", f"{API}/firewall-rulesets/{one}", self._patch_ruleset),
            ("DELETE", f"{API}/firewall-rulesets/{one}", self._delete_ruleset),
        ]

    def authorize(self, authorization: str) -> None:
        if authorization != f"Bearer {self.key}":
            raise self.unauthorized()

    def unauthorized(self) -> Refusal:
        return refusal(
            401,
            "global/invalid-api-key",
            "API key was invalid, expired, or deleted.",
            "Check your API key or create a new one, then try again.",
        )

    def failure(self, status: int) -> Refusal:
        if status == 429:
            return Refusal(429, "Too Many Requests")  # its body is not documented
        if status == 400:
            return refusal(400, "global/invalid-parameters", "Invalid request data.")
        if status < 500:
            return refusal(status, "global/not-found", "The requested resource was not found.")
        return refusal(status, "global/internal-error", "An internal server error occurred.", "Try again later.")

    def _limit(self, request: Request) -> None:
        """A tenth of the interval is forgiven: requests that were sent evenly do not arrive so."""
        now, launches = self.clock(), request.path.endswith("/launch")
        if now < self._next_at or (launches and now < self._next_launch_at):
            raise self.failure(429)
        self._next_at = now + 0.9 * self.interval_s
        if launches:
            self._next_launch_at = now + 0.9 * self.launch_interval_s

    def _launch(self, request: Request) -> tuple[int, Any]:
        body = parsed(Launch, request.body)
        place = (body.region_name, body.instance_type_name)
        if place not in self.capacity or body.ssh_key_names[0] not in self.ssh_keys:
            raise missing("Region, instance type or SSH key", 400)
        ports = {22}
        for entry in body.firewall_rulesets:
            ruleset = self.rulesets.get(entry.id)
            if ruleset is None or ruleset["region"]["name"] != body.region_name:
                raise missing("Firewall ruleset", 400)
            ports |= {rule["port_range"][0] for rule in ruleset["rules"]}
        for name in body.file_system_names:
            if self.file_systems.get(name) != body.region_name:
                code = "instance-operations/launch/file-system-in-wrong-region"
                raise refusal(400, code, f"Filesystem {name} is not in {body.region_name}.")
        if isinstance(body.image, Family) and body.image.family not in FAMILIES:
            raise missing("Image", 400)
        self._settle()
        if len(self.instances) >= self.quota:
            raise refusal(400, "global/quota-exceeded", "Quota exceeded.", "Contact Support to increase your quota.")
        if self.take(Fault.NO_CAPACITY) or self.capacity[place] < 1:
            code = "instance-operations/launch/insufficient-capacity"
            raise refusal(400, code, "Not enough capacity to fulfill launch request.")
        self.capacity[place] -= 1
        self.launches += 1
        made = f"{self.launches:032x}"
        authorized = self.ssh_keys[body.ssh_key_names[0]]["public_key"]
        admits = partial(self._admits, [entry.id for entry in body.firewall_rulesets])
        order = Boot(made, (authorized,), user_data=body.user_data, ports=tuple(sorted(ports)), admits=admits)
        boot_s = float("inf") if self.take(Fault.STUCK) else self.boot_s * (10 if self.take(Fault.SLOW_BOOT) else 1)
        self.made(made)
        self.instances[made] = Instance(made, body, self.host.boot(order), self.clock() + boot_s)
        return self._data({"instance_ids": [made]})

    def _list(self, request: Request) -> tuple[int, Any]:
        self.check_listing()
        self._settle()
        if self.instances and self.take(Fault.VANISHED):
            self._remove(next(iter(self.instances)))
        found = [i for i in self.instances.values() if self.shown(i.id, Way.LIST)]
        return self._data([*map(self._shown, found), *self.strangers()])

    def _get(self, request: Request) -> tuple[int, Any]:
        found = self._found(request.found["id"])
        if self.take(Fault.VANISHED):
            self._remove(found.id)
            raise missing("Specified instance")
        return self._data(self._shown(found))

    def _terminate(self, request: Request) -> tuple[int, Any]:
        found = [self._found(machine_id) for machine_id in parsed(Terminate, request.body).instance_ids]
        for instance in found:
            if instance.gone_at is None and not self.undying:
                instance.gone_at, instance.status = self.clock() + self.terminate_s, None
        return self._data({"terminated_instances": [self._shown(instance) for instance in found]})

    def _found(self, machine_id: str) -> Instance:
        self._settle()
        if machine_id not in self.instances or not self.shown(machine_id, Way.GET):
            raise missing("Specified instance")
        return self.instances[machine_id]

    def _settle(self) -> None:
        """Removes what has ended by now."""
        ended = [i.id for i in self.instances.values() if i.gone_at is not None and i.gone_at <= self.clock()]
        for machine_id in ended:
            self._remove(machine_id)

    def _remove(self, machine_id: str) -> None:
        gone = self.instances.pop(machine_id)
        self.capacity[(gone.launch.region_name, gone.launch.instance_type_name)] += 1
        self.host.end(machine_id)

    def _shown(self, instance: Instance) -> dict[str, Any]:
        launch, booting = instance.launch, self.clock() < instance.ready_at
        status = "terminating" if instance.gone_at is not None else "booting" if booting else "active"
        status = "resting" if self.take(Fault.UNKNOWN_STATE) else instance.status or status
        address = {} if booting else {"ip": instance.booted.address, "private_ip": instance.booted.address}
        token = "jupyter-" + "token"
        return {
            "id": instance.id,
            "name": launch.name,
            "status": status,
            **address,
            "ssh_key_names": launch.ssh_key_names,
            "file_system_names": launch.file_system_names,
            "region": _region(launch.region_name),
            "instance_type": self._type(launch.instance_type_name) | self._cost(instance.id),
            "hostname": launch.hostname or instance.id,
            "jupyter_token": token,
            "jupyter_url": f"https://jupyter.example.com/?token={token}",
            "actions": {
                name: {"available": not booting}
                for name in ("migrate", "rebuild", "restart", "cold_reboot", "terminate")
            },
            "tags": [tag.model_dump() for tag in launch.tags] if self.shown(instance.id, Way.TAGS) else [],
            "firewall_rulesets": [entry.model_dump() for entry in launch.firewall_rulesets],
        }

    def _cost(self, machine_id: str) -> dict[str, Any]:
        """In cents, where its price is not its type's."""
        if machine_id not in self.costs:
            return {}
        cost = self.costs[machine_id]
        return {"price_cents_per_hour": round(cost * 100) if isinstance(cost, float) else cost}

    def _types(self, request: Request) -> tuple[int, Any]:
        free = {name: [r for r in REGIONS if self.capacity[r, name] > 0] for name in TYPES}
        return self._data(
            {
                name: {
                    "instance_type": self._type(name),
                    "regions_with_capacity_available": [_region(region) for region in free[name]],
                }
                for name in TYPES
            }
        )

    def _type(self, name: str) -> dict[str, Any]:
        description, gpu, _, (vcpus, memory_gib, storage_gib, gpus) = TYPES[name]
        return {
            "name": name,
            "description": description,
            "gpu_description": gpu,
            "price_cents_per_hour": self.prices_cents[name],
            "specs": {"vcpus": vcpus, "memory_gib": memory_gib, "storage_gib": storage_gib, "gpus": gpus},
        }

    def _images(self, request: Request) -> tuple[int, Any]:
        times = {"created_time": CREATED, "updated_time": CREATED}
        rows = [(family, region) for family in FAMILIES for region in REGIONS]
        return self._data(
            [
                {"id": f"{family}@{region}", **times, "name": family, "description": family, "family": family}
                | {"version": "1.0.0", "architecture": "x86_64", "region": _region(region)}
                for family, region in rows
            ]
        )

    def _file_systems(self, request: Request) -> tuple[int, Any]:
        return self._data(
            [
                {"id": f"fs-{name}", "name": name, "mount_point": f"/lambda/nfs/{name}", "created": CREATED}
                | {"created_by": USER, "is_in_use": False, "region": _region(region)}
                for name, region in self.file_systems.items()
            ]
        )

    def _add_key(self, request: Request) -> tuple[int, Any]:
        body = parsed(AddKey, request.body)
        if body.name in self.ssh_keys:
            raise refusal(400, "global/invalid-parameters", f"An SSH key {body.name} exists.")
        self.ssh_keys[body.name] = {"id": secrets.token_hex(16), **body.model_dump()}
        return self._data(self.ssh_keys[body.name])

    def _delete_key(self, request: Request) -> tuple[int, Any]:
        for name, key in self.ssh_keys.items():
            if key["id"] == request.found["id"]:
                del self.ssh_keys[name]
                return self._data({})
        raise self.failure(404)

    def _rulesets(self, request: Request) -> tuple[int, Any]:
        return self._data([self._ruleset(ruleset_id) for ruleset_id in self.rulesets])

    def _add_ruleset(self, request: Request) -> tuple[int, Any]:
        body = parsed(AddRuleset, request.body)
        if body.region not in REGIONS:
            raise refusal(400, "global/invalid-parameters", f"No region {body.region}.")
        made = secrets.token_hex(16)
        rules = body.model_dump()["rules"]
        self.rulesets[made] = {"name": body.name, "region": _region(body.region), "rules": rules}
        return self._data(self._ruleset(made))

    def _patch_ruleset(self, request: Request) -> tuple[int, Any]:
        body = parsed(PatchRuleset, request.body)
        if request.found["id"] not in self.rulesets:
            raise missing("Firewall ruleset")
        self.rulesets[request.found["id"]] |= body.model_dump(exclude_none=True)
        return self._data(self._ruleset(request.found["id"]))

    def _delete_ruleset(self, request: Request) -> tuple[int, Any]:
        self._settle()
        if request.found["id"] not in self.rulesets:
            raise missing("Firewall ruleset")
        if self._ruleset(request.found["id"])["instance_ids"]:
            raise refusal(
                400,
                "firewall-rulesets/firewall-ruleset-in-use",
                "Firewall ruleset is in use by one or more instances.",
                "Terminate all instances that are using the ruleset before deleting it.",
            )
        del self.rulesets[request.found["id"]]
        return self._data({})

    def _admits(self, ruleset_ids: list[str], source: str, port: int) -> bool:
        """Whether one of the rulesets lets the address in. Without the lock: connections must not wait for requests."""
        own = {instance.booted.address for instance in list(self.instances.values())}
        address = IPv4Address(source if source in own else self.elsewhere)
        rules = [rule for found in ruleset_ids for rule in self.rulesets.get(found, {}).get("rules", ())]
        return any(
            low <= port <= high and address in IPv4Network(rule["source_network"])
            for rule in rules
            for low, high in [rule["port_range"]]
        )

    def _ruleset(self, ruleset_id: str) -> dict[str, Any]:
        users = [i.id for i in self.instances.values() if Id(id=ruleset_id) in i.launch.firewall_rulesets]
        return {"id": ruleset_id, **self.rulesets[ruleset_id], "created": CREATED, "instance_ids": users}

    def _data(self, data: Any) -> tuple[int, Any]:
        return 200, {"data": data}


def _region(name: str) -> dict[str, str]:
    return {"name": name, "description": REGIONS[name]}
