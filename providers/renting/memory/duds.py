"""Whose machines turned out to be duds, so that they are left out for a day: hosts, regions, a region's SKU.

A market sorted by price offers the dud that was just given back as the cheapest again (modl-org/modl#130). A small
file each, beside the journal: the next run is another process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from providers.renting.memory.place import stack_folder, write_private

FOLDER = "duds"
LEFT_OUT_S = 24 * 3600.0
"""Chosen: a host that is mended comes back the next day, and `crossover doctor --forget` brings it back at once."""


@dataclass(frozen=True, slots=True)
class Dud:
    """One machine that was rented and given back before anybody reached it."""

    scope: str
    """What is left out: `Machine.blame`."""
    machine: str
    """"cloud/id"."""
    why: str
    at_s: float
    """Seconds of the Unix epoch."""

    @property
    def said(self) -> str:
        """For people."""
        until = datetime.fromtimestamp(self.at_s + LEFT_OUT_S, UTC).isoformat(" ", timespec="minutes")
        return f"{self.scope} is left out until {until.removesuffix('+00:00')} UTC: {self.why}"


@dataclass(slots=True)
class Duds:
    """Those of one stack. Nothing here raises for the sake of a file: what is not remembered is rented once more."""

    folder: Path | None = None
    """None: they are forgotten with this object."""
    now: Callable[[], float] = time.time
    _known: dict[str, Dud] = field(default_factory=dict)

    @classmethod
    def of(cls, project: str, stack: str, environment: Mapping[str, str] = os.environ) -> Duds:
        """Those of a stack on this computer."""
        return cls(stack_folder(project, stack, environment) / FOLDER)

    def add(self, scope: str, machine: str, why: str) -> None:
        """Leaves it out from now on, for a day."""
        dud = Dud(scope, machine, why, self.now())
        self._known[scope] = dud
        if self.folder is not None:
            with suppress(OSError):
                write_private(self.folder / f"{quote(scope, safe='')}.json", json.dumps(asdict(dud), indent=2) + "\n")

    def left_out(self) -> Mapping[str, Dud]:
        """Scope → why it is left out now. What is older than a day is forgotten."""
        found = {dud.scope: dud for dud in (*self._kept(), *self._known.values())}
        return {scope: dud for scope, dud in sorted(found.items()) if self.now() < dud.at_s + LEFT_OUT_S}

    def forget(self) -> list[Dud]:
        """All may be rented again; those that were left out. Raises OSError where a file cannot be removed."""
        before = [*self.left_out().values()]
        self._known.clear()
        for path in self._files():
            path.unlink(missing_ok=True)
        return before

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json")) if self.folder is not None else []

    def _kept(self) -> list[Dud]:
        """A file that cannot be read leaves out nothing."""
        found = []
        for path in self._files():
            with suppress(OSError, ValueError, TypeError):
                found.append(Dud(**json.loads(path.read_text("utf-8"))))
        return found
