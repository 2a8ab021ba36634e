"""Clouds with something to offer, put in the registry's place."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from providers import registry
from providers.base import Capability, Cloud, Machine, MachineState, Offer, Owner
from providers.errors import CloudError
from tests.support.clouds import FakeCloud

MISSING = "CROSSOVER_KEY is not set: make a key at https://vendor.example/keys"


@dataclass
class Market(FakeCloud):
    """A FakeCloud with offers; `refuses` is raised by every question."""

    on_sale: list[Offer] = field(default_factory=list)
    refuses: CloudError | None = None

    def offers(self) -> list[Offer]:
        if self.refuses:
            raise self.refuses
        return self.on_sale

    def list(self, owner_project: str | None = None) -> list[Machine]:
        if self.refuses:
            raise self.refuses
        return [m for m in super().list() if m.owner is None or owner_project in (None, m.owner.project)]


def registered(monkeypatch: pytest.MonkeyPatch, *clouds: Market) -> None:
    """These are all clouds that there are."""
    monkeypatch.setattr(registry, "CLOUDS", {cloud.name: row_of(cloud, *cloud.capabilities) for cloud in clouds})


def row_of(cloud: Cloud, *capabilities: Capability) -> registry.CloudRow:
    """The registry's row for one that is made already."""
    return registry.CloudRow(lambda: cloud, frozenset(capabilities))


def offer(cloud: str, usd_per_hour: str, region: str = "r1", sku: str = "8x", available: bool = True) -> Offer:
    """Eight GPUs of 80 GiB."""
    return Offer(cloud, region, sku, Decimal(usd_per_hour), available, 8, 80)


IDENTITY = "00c0ffee"
"""Of the stacks that `rented` machines are of."""


def rented(
    number: int, stack: str = "prod", cloud: str = "fake", owned: bool = True, stack_id: str = IDENTITY
) -> Machine:
    """A machine of ours at 22.32 USD/h, since midnight of 2026-11-22."""
    return Machine(
        id=f"m-{number}", name=f"crossover-{stack}-a-g1-{number}", cloud=cloud, region="r1", sku="8x",
        owner=Owner("crossover", stack, "inference", "a", 1, stack_id) if owned else None, state=MachineState.RUNNING,
        failure_domain=f"{cloud}/r1", usd_per_hour=Decimal("22.32"), created_at="2026-11-22T00:00:00Z",
    )  # fmt: skip
