"""The cloud `local` in the words of every other cloud."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from providers.base import Machine, MachineState, NodeSpec, Offer, Owner
from providers.clouds.local.client import LocalClient, account
from providers.clouds.local.config import REGIONS, SKUS, LocalConfig
from providers.errors import InvalidRequest, NotFound
from providers.renting.naming import nearest


class LocalCloud:
    """Machines on this computer: free, at once, and as many as memory allows."""

    name = "local"
    visibility_s = 0.0
    """This computer's own disk tells."""

    def __init__(self, client: LocalClient) -> None:
        self.client = client

    @classmethod
    def from_environment(cls) -> LocalCloud:
        """Configured by the environment: see LocalConfig."""
        return cls(LocalClient(LocalConfig.from_environment()))

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """There is nothing to set. Raises InvalidRequest."""
        if settings:
            raise InvalidRequest(f"clouds.local: there is nothing to set, got {', '.join(sorted(settings))}")

    def offers(self) -> list[Offer]:
        """Every SKU in every region, always available, at no cost."""
        return [
            Offer(self.name, region, sku, Decimal(0), True, gpus, memory_gib, description)
            for region in REGIONS
            for sku, (gpus, memory_gib, description) in SKUS.items()
        ]

    def launch(self, spec: NodeSpec) -> Machine:
        """Makes the folder and starts its sshd. Raises InvalidRequest for an unknown region or SKU, a missing sshd."""
        if spec.region not in REGIONS:
            raise InvalidRequest(f"local has no region {spec.region!r}: {nearest(spec.region, REGIONS)}")
        if spec.sku not in SKUS:
            raise InvalidRequest(f"local has no SKU {spec.sku!r}: {nearest(spec.sku, SKUS)}")
        record = {
            "name": spec.name,
            "region": spec.region,
            "sku": spec.sku,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "owner": spec.owner.plain(),
        }
        machine_id = self.client.create(record, spec.ports, spec.ssh_public_key)
        try:
            self.client.start(machine_id)
        except BaseException:
            self.client.destroy(machine_id)
            raise
        return self.get(machine_id)

    def get(self, machine_id: str) -> Machine:
        """Raises NotFound where the folder is gone; STOPPED where the folder is there and its sshd is not."""
        record = self.client.record(machine_id)
        folder = self.client.folder(machine_id)
        running = self.client.running(machine_id)
        return Machine(
            id=machine_id,
            name=record["name"],
            cloud=self.name,
            region=record["region"],
            sku=record["sku"],
            owner=Owner(**record["owner"]),
            state=MachineState.RUNNING if running else MachineState.STOPPED,
            failure_domain=f"{self.name}/{record['region']}",
            usd_per_hour=Decimal(0),
            created_at=record["created_at"],
            address="127.0.0.1",
            ports=record["ports"],
            bind="127.0.0.1",
            ssh_user=account(),
            host_key=self.client.host_key(machine_id),
            root=str(folder / "root"),
            cache=str(self.client.config.cache),
            supervision="supervisor",
            status="sshd runs" if running else "sshd does not run (its computer restarted, or it was killed)",
        )

    def inventory(self) -> list[Machine]:
        """The same: there are no others."""
        machines = []
        for machine_id in self.client.ids():
            with suppress(NotFound):  # ended between the listing and the look
                machines.append(self.get(machine_id))
        return machines

    def list(self, owner_project: str | None = None) -> list[Machine]:
        """Every machine of this checkout."""
        found = self.inventory()
        return [m for m in found if owner_project is None or (m.owner and m.owner.project == owner_project)]

    def start(self, machine_id: str) -> Machine:
        """Starts the machine's sshd again, on the port it has always had."""
        self.client.start(machine_id)
        return self.get(machine_id)

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """Ends all its processes and removes its folder; a machine already gone is fine."""
        self.client.destroy(machine_id)
