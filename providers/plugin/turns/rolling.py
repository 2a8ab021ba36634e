"""Changes of machines that serve go one after another, and one that fails is the last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from images.remote.errors import RemoteError
from images.remote.waiting import Waiting


class ChangeStopped(RemoteError):
    """Another change of the fleet failed in this run, and nothing was changed here."""


@dataclass(slots=True)
class RollingChange:
    """Changes go one by one, and the first failure stops the rest of its fleet in this run. The gateways of a stack are
    a fleet, too, and wait as all do: one that changes reloads its HAProxy, which takes every node into the rotation
    again, and for a moment it would send clients to a node that restarts."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: dict[str, str] = field(default_factory=dict)
    """Fleet → whose change failed."""

    def run(self, fleet: str, who: str, change: Callable[[], None], waiting: Waiting) -> None:
        """Raises ChangeStopped without changing anything if an earlier change of the fleet failed."""
        with waiting.turn(self.lock):
            if fleet in self.failed:
                raise ChangeStopped(
                    f"not changed, because the change failed on {self.failed[fleet]} and one broken node is enough: "
                    "mend that, then run `up` again"
                )
            try:
                change()
            except BaseException:
                self.failed[fleet] = who
                raise
