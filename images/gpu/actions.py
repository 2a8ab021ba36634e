"""What a plan is made of: actions with their reasons, or a refusal with what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from images.gpu.facts import GpuFacts


class Deed(StrEnum):
    """What an action does. Each is a script of this name, and each can be done again."""

    QUIET = "quiet"
    """Stops what upgrades packages by itself, for good."""
    HOLD = "hold"
    """Holds packages at their version: their names."""
    FINISH = "finish"
    """Ends what an interrupted dpkg has begun."""
    KEYRING = "keyring"
    """Sets NVIDIA's repository up: URL and SHA-256 of its keyring's package."""
    UPDATE = "update"
    """Refreshes apt's lists."""
    INSTALL = "install"
    """One transaction: the driver's version, and the packages as apt takes them ("name=version")."""
    BLACKLIST = "blacklist"
    """Keeps nouveau from loading; "initramfs" where that holds it, too."""
    LOAD = "load"
    """Loads the modules."""
    SERVICES = "services"
    """Persistence on, and the units: their names."""
    REBOOT = "reboot"
    """Once for a reason, which is its one word."""


ENDS_A_ROUND = frozenset({Deed.FINISH, Deed.KEYRING, Deed.UPDATE, Deed.INSTALL, Deed.REBOOT})
"""After these the machine is looked at again: what follows in the plan is a forecast."""

SAYS = {
    Deed.QUIET: "stop its unattended upgrades",
    Deed.HOLD: "hold {count} packages at their versions",
    Deed.FINISH: "finish an interrupted installation of packages",
    Deed.KEYRING: "set up NVIDIA's package repository, its keyring checked by SHA-256",
    Deed.UPDATE: "refresh the lists of packages",
    Deed.INSTALL: "install {rest}",
    Deed.BLACKLIST: "blacklist nouveau",
    Deed.LOAD: "load the driver",
    Deed.SERVICES: "bring up {words}",
    Deed.REBOOT: "reboot",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do to a machine, and why."""

    kind: Deed
    why: str
    words: tuple[str, ...] = ()
    """What its script is told."""

    def __str__(self) -> str:
        rest, words = ", ".join(self.words[1:]), ", ".join(self.words)
        return f"{SAYS[self.kind].format(count=len(self.words), rest=rest, words=words)}: {self.why}"


@dataclass(frozen=True, slots=True)
class GpuPlan:
    """What will be done, in this order. Empty where the machine is as it should be."""

    actions: tuple[Action, ...] = ()

    @property
    def round(self) -> tuple[Action, ...]:
        """The actions until the machine has to be looked at again."""
        ends = [number for number, action in enumerate(self.actions, 1) if action.kind in ENDS_A_ROUND]
        return self.actions[: ends[0]] if ends else self.actions


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a machine cannot be used as it is, and what to do."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}. {self.remedy}"


GIVE_BACK = "Give the machine back: raise its generation, or choose another region, SKU or cloud"


def reboot(facts: GpuFacts, why: str) -> Action | Refusal:
    """A reboot for that reason, unless there was one which did not help."""
    before, reason = facts.rebooted
    if reason == why and before != facts.boot_id:
        return Refusal(f"it was rebooted because {why}, and that changed nothing", GIVE_BACK)
    return Action(Deed.REBOOT, why, (why,))
