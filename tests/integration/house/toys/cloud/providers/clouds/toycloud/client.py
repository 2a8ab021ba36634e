"""Its API, which has one answer."""

from __future__ import annotations

from dataclasses import dataclass

from .config import ToyConfig


@dataclass(frozen=True, slots=True)
class ToyClient:
    """Asks nobody."""

    config: ToyConfig

    def skus(self) -> dict[str, int]:
        """SKU → GPUs."""
        return {"box": 8}
