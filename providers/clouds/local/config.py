"""Where the cloud `local` keeps its machines, and what it offers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from providers.errors import InvalidRequest

CHECKOUT = Path(__file__).resolve().parents[3]
FIRST_PORT, LAST_PORT = 20000, 31999


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """Settings of the cloud `local`; nothing here costs money or leaves this computer."""

    state: Path
    """Holds one folder per machine, `state/<machine id>`."""
    cache: Path
    """Python environments, shared by all machines of this user."""
    sshd: str = "sshd"
    first_port: int = FIRST_PORT
    last_port: int = LAST_PORT
    """Below the kernel's ephemeral range (32768–60999 by default), so that no outgoing connection takes a port that a
    machine has chosen while its service is restarting."""

    @classmethod
    def from_environment(cls) -> LocalConfig:
        """CROSSOVER_LOCAL_STATE (default: .state/local in this checkout); CROSSOVER_LOCAL_PORTS (default: 20000-31999),
        for two checkouts that come up side by side; XDG_CACHE_HOME (default: ~/.cache)."""
        try:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:
            raise InvalidRequest("there is no HOME, and no account to tell one: set HOME or XDG_CACHE_HOME") from None
        first, last = _ports(os.environ.get("CROSSOVER_LOCAL_PORTS") or f"{FIRST_PORT}-{LAST_PORT}")
        return cls(
            state=Path(os.environ.get("CROSSOVER_LOCAL_STATE") or CHECKOUT / ".state" / "local"),
            cache=cache / "crossover",
            first_port=first,
            last_port=last,
        )


def _ports(given: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{4,5})-(\d{4,5})", given)
    if found is None or not 1024 <= int(found[1]) < int(found[2]) <= 65535:
        raise InvalidRequest(f"CROSSOVER_LOCAL_PORTS is two ports of 1024 to 65535, as 20000-31999, and not {given!r}")
    return int(found[1]), int(found[2])


REGIONS = ("bay-1", "bay-2", "bay-3", "bay-4")
"""Made-up failure domains of this computer, so that placement is exercised as it is elsewhere."""

SKUS = {
    "sim-8x-a100": (8, 80, "vLLM simulator standing for 8×A100 80 GB"),
    "small": (0, 0, "no GPU: a gateway"),
}
"""SKU → (GPUs, GiB each, description)."""
