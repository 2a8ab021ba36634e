"""Which zones nodes were asked for in without a machine to show for it, so that the next `up` asks another one.

AWS tells "insufficient capacity" to the provider's plugin, and no program hears of it: what can be known is that a node
was to be created in a zone, and is in none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from providers.renting.memory.place import stack_folder, write_private

FILE = "aws-zones.json"


@dataclass(frozen=True, slots=True)
class Tries:
    """Those of one stack. Nothing here raises: what is not remembered is asked for once more."""

    path: Path
    now: Callable[[], float] = field(default=time.time)

    @classmethod
    def of(cls, project: str, stack: str) -> Tries:
        """Those of a stack on this computer."""
        return cls(stack_folder(project, stack) / FILE)

    def known(self) -> dict[str, dict[str, float]]:
        """Node key → zone → when it was last asked (seconds of the Unix epoch)."""
        with suppress(OSError, ValueError, AttributeError, TypeError):
            found = json.loads(self.path.read_text("utf-8"))
            return {str(key): {str(zone): float(at) for zone, at in zones.items()} for key, zones in found.items()}
        return {}

    def begin(self, asked: Mapping[str, str], there: Collection[str]) -> None:
        """These nodes (key → zone) are about to be created; those that are there need no memory any more."""
        found = {key: zones for key, zones in self.known().items() if key not in there}
        for key, zone in asked.items():
            found[key] = {**found.get(key, {}), zone: self.now()}
        with suppress(OSError):
            write_private(self.path, json.dumps(found, indent=2, sort_keys=True) + "\n")
