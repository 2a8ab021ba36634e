"""Its address."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToyConfig:
    """Where it answers."""

    url: str

    @classmethod
    def from_environment(cls) -> ToyConfig:
        """CROSSOVER_TOYCLOUD_URL."""
        return cls(os.environ.get("CROSSOVER_TOYCLOUD_URL", "https://toy.example"))
