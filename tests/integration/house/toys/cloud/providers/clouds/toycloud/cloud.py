"""It in the words of every other cloud."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from providers.base import Machine, NodeSpec, Offer
from providers.errors import InvalidRequest, NoCapacity, NotFound

from .client import ToyClient
from .config import ToyConfig


class ToyCloud:
    """It has nothing, and says so."""

    name = "toycloud"
    visibility_s = 0.0

    def __init__(self, client: ToyClient) -> None:
        self.client = client

    @classmethod
    def from_environment(cls) -> ToyCloud:
        return cls(ToyClient(ToyConfig.from_environment()))

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        if unknown := sorted({*settings} - {"colour"}):
            raise InvalidRequest(f"clouds.toycloud.{unknown[0]}: unknown key (known are colour)")

    def offers(self) -> list[Offer]:
        price = Decimal(11)
        return [Offer(self.name, "attic", sku, price, False, gpus, 80) for sku, gpus in self.client.skus().items()]

    def launch(self, spec: NodeSpec) -> Machine:
        raise NoCapacity(f"toycloud has no {spec.sku} in {spec.region}")

    def get(self, machine_id: str) -> Machine:
        raise NotFound(f"toycloud has no machine {machine_id}")

    def inventory(self) -> list[Machine]:
        return []

    def list(self, owner_project: str | None = None) -> list[Machine]:
        return []

    def start(self, machine_id: str) -> Machine:
        return self.get(machine_id)

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """There is none."""
