"""The cloud `existing` in the words of every other cloud: to rent is to claim, to end is to release."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from providers.base import Machine, MachineState, NodeSpec, Offer, Owner
from providers.clouds.existing.client import Claims, authorize
from providers.clouds.existing.config import ExistingConfig, OwnedMachine, load
from providers.errors import InvalidRequest, NoCapacity, Unauthorized, Unavailable
from providers.renting.naming import mark, nearest


class ExistingCloud:
    """Machines that are there and are paid for. They are never made, started, stopped or ended, only claimed.

    It lacks BILLS_NOTHING, which promises prices of zero: an hour here costs what the purchase and the power cost, and
    the gate must reckon with it. The gate's own `NOT_RENTED` names it, as a purchase is made once.
    """

    name = "existing"
    visibility_s = 0.0
    """The claims' own files tell."""

    def __init__(self, config: ExistingConfig) -> None:
        self.config = config
        self.claims = Claims(config.state)

    @classmethod
    def from_environment(cls) -> ExistingCloud:
        """Configured by the environment: see ExistingConfig."""
        return cls(ExistingConfig.from_environment())

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """There is nothing to set. Raises InvalidRequest."""
        if settings:
            raise InvalidRequest(
                f"clouds.existing: there is nothing to set, got {', '.join(sorted(settings))}; machines are listed in "
                f"{self.config.machines}"
            )

    def offers(self) -> list[Offer]:
        """Machines alike in region, SKU and price are one offer, available while one of them is free."""
        taken = self.claims.taken()
        alike: dict[tuple[object, ...], list[OwnedMachine]] = {}
        for m in load(self.config.machines):
            alike.setdefault((m.region, m.sku, m.usd_per_hour, m.gpus, m.gpu_memory_gib), []).append(m)
        offers = []
        for group in alike.values():
            one, free = group[0], sum(m.id not in taken for m in group)
            words = f"{free} of {len(group)} free"
            offers.append(
                Offer(self.name, one.region, one.sku, one.usd_per_hour, free > 0, one.gpus, one.gpu_memory_gib, words)
            )
        return offers

    def launch(self, spec: NodeSpec) -> Machine:
        """Claims the cheapest free machine of that region and SKU. Raises NoCapacity where all are claimed, do not
        answer or cost more than the ceiling; InvalidRequest for an unknown region or SKU."""
        refusals = []
        for machine in sorted(self._fitting(spec), key=lambda m: (m.usd_per_hour, m.id)):
            if spec.max_usd_per_hour is not None and machine.usd_per_hour > spec.max_usd_per_hour:
                refusals.append(f"{machine.id} costs {machine.usd_per_hour} USD/h, above {spec.max_usd_per_hour:f}")
                continue
            if f"{self.name}/{machine.id}" in spec.left_out:
                refusals.append(f"{machine.id} is left out for a day, as nobody reached it")
                continue
            prepare = functools.partial(authorize, machine, spec.ssh_public_key, mark(spec.owner))
            try:
                claim_id = self.claims.make(machine.id, _claim(machine, spec), prepare)
            except Unavailable as e:
                refusals.append(f"{machine.id}: {e}")
                continue
            if claim_id is not None:
                return self.get(claim_id)
            refusals.append(f"{machine.id} is claimed")
        raise NoCapacity(f"existing has no {spec.sku} free in {spec.region}: {'; '.join(refusals)}")

    def get(self, machine_id: str) -> Machine:
        """Raises NotFound where the machine was released. Always RUNNING: first contact tells whether it answers."""
        return self._machine(self.claims.get(machine_id), self._listed())

    def inventory(self) -> list[Machine]:
        """The same: of those that are not claimed nothing is known."""
        listed = self._listed()
        return [self._machine(claim, listed) for claim in self.claims.taken().values()]

    def list(self, owner_project: str | None = None) -> list[Machine]:
        """Every machine that is claimed."""
        return [m for m in self.inventory() if owner_project is None or (m.owner and m.owner.project == owner_project)]

    def start(self, machine_id: str) -> Machine:
        """Nothing here is ever stopped by us: returns it as it is."""
        return self.get(machine_id)

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """Releases the claim; nothing is done to the machine. One already released is fine."""
        self.claims.release(machine_id)

    def _fitting(self, spec: NodeSpec) -> Iterable[OwnedMachine]:
        machines = load(self.config.machines)
        here = [m for m in machines if m.region == spec.region]
        if not here:
            raise _unknown("region", spec.region, {m.region for m in machines})
        fitting = [m for m in here if m.sku == spec.sku]
        if not fitting:
            raise _unknown("SKU", spec.sku, {m.sku for m in here}, f" in {spec.region}")
        return fitting

    def _listed(self) -> dict[str, OwnedMachine]:
        """What the file says today; a claim outlives a file that was moved, as it keeps what it was made with."""
        try:
            return {m.id: m for m in load(self.config.machines)}
        except Unauthorized:
            return {}

    def _machine(self, claim: Mapping[str, Any], listed: Mapping[str, OwnedMachine]) -> Machine:
        entry = OwnedMachine.model_validate(claim["machine"])
        current = listed.get(entry.id)
        entry = current or entry
        ports = {service: entry.ports.get(service, port) for service, port in claim["ports"].items()}
        return Machine(
            id=claim["id"],
            name=claim["name"],
            cloud=self.name,
            region=entry.region,
            sku=entry.sku,
            owner=Owner(**claim["owner"]),
            state=MachineState.RUNNING,
            failure_domain=f"{self.name}/{entry.region}",
            usd_per_hour=entry.usd_per_hour,
            created_at=claim["createdAt"],
            address=entry.address,
            ports={**ports, "ssh": entry.ssh_port},
            bind=entry.bind,
            ssh_user=entry.ssh_user,
            host_key=entry.host_key,
            root=entry.root,
            cache=entry.cache,
            supervision=entry.supervision,
            status="claimed" if current else f"claimed, and no longer listed in {self.config.machines}",
            blame=f"{self.name}/{entry.id}",
        )


def _claim(machine: OwnedMachine, spec: NodeSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "owner": spec.owner.plain(),
        "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "ports": dict(spec.ports),
        "machine": machine.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def _unknown(what: str, name: str, known: Iterable[str], where: str = "") -> InvalidRequest:
    return InvalidRequest(f"existing has no {what} {name!r}{where}: {nearest(name, known)}")
