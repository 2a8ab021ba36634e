"""What an examination of GPUs finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from images.gpu.actions import GIVE_BACK


class Remedy(StrEnum):
    """What helps. Nothing of it is done by itself."""

    TOLD = "told"
    """Nothing has to be done: the node serves, and a person should know."""
    REPAIR = "repair"
    REBOOT = "reboot"
    GIVE_BACK = "give back"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, or could not be found out."""

    what: str
    """With the evidence: the value, or the kernel's line."""
    remedy: Remedy = Remedy.TOLD
    how: str = ""
    """To repair it; empty: as for every one of its remedy."""

    @property
    def fails(self) -> bool:
        """Whether the machine must not serve."""
        return self.remedy is not Remedy.TOLD

    def __str__(self) -> str:
        return f"{self.what}: {self.how or _HOW[self.remedy]}" if self.fails else self.what


_HOW = {
    Remedy.REPAIR: "mend it there (crossover ssh NODE), and run again",
    Remedy.REBOOT: "reboot it, and run again. If that does not help: give the machine back",
    Remedy.GIVE_BACK: f"{GIVE_BACK[0].lower()}{GIVE_BACK[1:]}",
}
