"""Where the cloud `local` keeps its machines, and what it offers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from providers.errors import InvalidRequest

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """Settings of the cloud `local`; nothing here costs money or leaves this computer."""

    state: Path
    """Holds one folder per machine, `state/<machine id>`."""
    cache: Path
    """Python environments, shared by all machines of this user."""
    sshd: str = "sshd"
    first_port: int = 20000
    last_port: int = 31999
    """Below the kernel's ephemeral range (32768–60999 by default), so that no outgoing connection takes a port that a
    machine has chosen while its service is restarting."""

    @classmethod
    def from_environment(cls) -> LocalConfig:
        """CROSSOVER_LOCAL_STATE (default: .state/local in this checkout); XDG_CACHE_HOME (default: ~/.cache)."""
        try:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:
            raise InvalidRequest("there is no HOME, and no account to tell one: set HOME or XDG_CACHE_HOME") from None
        return cls(
            state=Path(os.environ.get("CROSSOVER_LOCAL_STATE") or CHECKOUT / ".state" / "local"),
            cache=cache / "crossover",
        )


REGIONS = ("bay-1", "bay-2", "bay-3", "bay-4")
"""Made-up failure domains of this computer, so that placement is exercised as it is elsewhere."""

SKUS = {
    "sim-8x-a100": (8, 80, "vLLM simulator standing for 8×A100 80 GB"),
    "small": (0, 0, "no GPU: a gateway"),
}
"""SKU → (GPUs, GiB each, description)."""
