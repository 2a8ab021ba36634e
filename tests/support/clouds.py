"""A cloud in memory whose faults are scripted, and a clock that only moves when somebody sleeps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from images.remote.waiting import Waiting
from providers.base import Candidate, Capability, Machine, MachineState, NodeSpec, Offer, Owner
from providers.errors import CloudError, NotFound, TerminateFailed
from providers.renting.rent import Request


class Clock:
    """Seconds that pass by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep()

    def waiting(self, said: list[str] | None = None, cancelled: Callable[[], bool] = lambda: False) -> Waiting:
        """What long work is given, on this clock."""
        lines = said if said is not None else []
        return Waiting(say=lines.append, cancelled=cancelled, clock=self, sleep=self.sleep)


@dataclass
class FakeCloud:
    """Machines are PENDING for `boot_looks` looks. `launch_faults` are raised by the next launches, in order."""

    name: str = "fake"
    capabilities: frozenset[Capability] = frozenset()
    """Of the row that puts it into the registry."""
    boot_looks: int = 0
    launch_faults: deque[CloudError] = field(default_factory=deque)
    create_although_failed: bool = False
    terminate_fails: bool = False
    visibility_s: float = 300.0
    get_faults: deque[Exception] = field(default_factory=deque)
    machines: dict[str, Machine] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    launches: int = 0

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Takes anything."""

    def offers(self) -> list[Offer]:
        return []

    def launch(self, spec: NodeSpec) -> Machine:
        fault = self.launch_faults.popleft() if self.launch_faults else None
        if fault is None or self.create_although_failed:
            self.launches += 1
            machine = Machine(
                id=f"{self.name}-{self.launches}", name=spec.name, cloud=self.name, region=spec.region, sku=spec.sku,
                owner=spec.owner, state=MachineState.PENDING, failure_domain=f"{self.name}/{spec.region}",
                usd_per_hour=Decimal("22.32"), created_at="2026-11-22T00:00:00Z", address="192.0.2.1",
                ports=dict(spec.ports), host_key="ssh-ed25519 AAAA", blame=f"{self.name}/{spec.region}",
            )  # fmt: skip
            self.machines[machine.id] = machine
        if fault is not None:
            raise fault
        return machine

    def get(self, machine_id: str) -> Machine:
        if self.get_faults:
            raise self.get_faults.popleft()
        if machine_id not in self.machines:
            raise NotFound(f"{self.name} has no machine {machine_id}")
        self.looks[machine_id] = self.looks.get(machine_id, 0) + 1
        machine = self.machines[machine_id]
        if machine.state is MachineState.PENDING and self.looks[machine_id] > self.boot_looks:
            self.machines[machine_id] = replace(machine, state=MachineState.RUNNING)
        return self.machines[machine_id]

    def inventory(self) -> list[Machine]:
        return list(self.machines.values())

    def list(self, owner_project: str | None = None) -> list[Machine]:
        return list(self.machines.values())

    def start(self, machine_id: str) -> Machine:
        self.machines[machine_id] = replace(self.machines[machine_id], state=MachineState.RUNNING)
        return self.machines[machine_id]

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        if self.terminate_fails:
            raise TerminateFailed("the cloud refuses")
        self.machines.pop(machine_id, None)


def request(key: str = "a", generation: int = 1, **changes: object) -> Request:
    """A node to rent at the cloud `fake`, regions r1 then r2."""
    values: dict[str, object] = {
        "owner": Owner("p", "s", "inference", key, generation),
        "candidates": (Candidate("fake", "r1", "gpu"), Candidate("fake", "r2", "gpu")),
        "ssh_public_key": "ssh-ed25519 AAAA",
        "ssh_private_key": "the key",
        "ports": {"ssh": 22},
        "max_per_failure_domain": 1,
        "deadline_s": 60.0,
        **changes,
    }
    return Request(**values)  # type: ignore[arg-type]
