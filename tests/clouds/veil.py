"""What a vendor does not show although it is there: windows of time, a machine and a way of looking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

LATE_S = 90.0
"""The audit's (finding 1): GET by id and listing know a machine only after a minute and a half."""
FLAP_S = 60.0
SHOWN_S = 10.0
LIST_DOWN_S = 100.0


class Way(StrEnum):
    """How a machine is looked at."""

    GET = "get"
    LIST = "list"
    TAGS = "tags"
    """What tells whose it is, wherever it is shown."""


@dataclass
class Veil:
    """Machine and way → the windows in which it is hidden, in seconds of `clock`."""

    clock: Callable[[], float]
    windows: dict[tuple[str, Way], list[tuple[float, float]]] = field(default_factory=dict)
    list_down_until: float = float("-inf")

    def late(self, machine_id: str, *ways: Way) -> None:
        """A machine that has just been made is not shown there yet."""
        for way in ways:
            self._hide(machine_id, way, 0.0, LATE_S)

    def flap(self, machine_id: str) -> None:
        """It is gone for a minute, there for a moment, and gone again; ending it is refused meanwhile."""
        for way in (Way.GET, Way.LIST):
            self._hide(machine_id, way, 0.0, FLAP_S)
            self._hide(machine_id, way, FLAP_S + SHOWN_S, 2 * FLAP_S + SHOWN_S)

    def down(self) -> None:
        """Listings fail for a while."""
        self.list_down_until = self.clock() + LIST_DOWN_S

    def hides(self, machine_id: str, way: Way) -> bool:
        """Whether it is not shown there now."""
        return any(begin <= self.clock() < end for begin, end in self.windows.get((machine_id, way), ()))

    def _hide(self, machine_id: str, way: Way, begin_s: float, end_s: float) -> None:
        now = self.clock()
        self.windows.setdefault((machine_id, way), []).append((now + begin_s, now + end_s))
