"""Pure: what is to be done to a machine so that its GPUs serve, from what it has, what is asked, and the matrix.

Done action by action, and looked at again in between, a machine comes to where its plan is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from images.bundle import GpuDemand
from images.gpu.actions import GIVE_BACK, Action, Deed, GpuPlan, Refusal
from images.gpu.facts import GpuFacts
from images.gpu.installing import install, names
from images.gpu.keeping import driver_packages, keep
from images.gpu.suitable import unsuitable

HELD = re.compile(r"nvidia-.*|libnvidia-.*|libnvsdm.*|cuda-drivers.*|linux-(image|headers|modules)-.*")
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades")
_UPGRADES = "an upgrade of the driver's libraries breaks a node that runs (and one was seen to delete its firmware)"


def plan(facts: GpuFacts, demand: GpuDemand, matrix: Mapping[str, Any]) -> GpuPlan | Refusal:
    """The plan, or why there is none. A container and an owner's machine are judged: their plan is always empty."""
    if not demand.install or facts.container:
        return unsuitable(facts, demand, matrix) or GpuPlan()
    system = _system(facts, matrix)
    if isinstance(system, Refusal):
        return system
    if (refusal := _unusable(facts, demand)) is not None:
        return refusal
    has_driver = bool(facts.loaded or facts.module or driver_packages(facts))
    rest = keep(facts, demand, matrix) if has_driver else install(facts, system, matrix)
    if isinstance(rest, Refusal):
        return rest
    actions = (*_quiet(facts), *_hold(facts), *rest)
    if not actions:
        return unsuitable(facts, demand, matrix) or GpuPlan()
    return GpuPlan(actions)


def asked(matrix: Mapping[str, Any]) -> tuple[str, ...]:
    """The packages that a look asks apt for; "KERNEL" stands for the kernel that runs."""
    facts = GpuFacts(kernel="KERNEL")
    parts = ("driver", "beside", "modules", "fabric_manager")
    return tuple(name for origin in matrix["origins"] for part in parts for name in names(origin, part, facts, matrix))


def _system(facts: GpuFacts, matrix: Mapping[str, Any]) -> Mapping[str, Any] | Refusal:
    """The row of its distribution."""
    identity, version, title = facts.system
    known = ", ".join(row["title"] for row in matrix["systems"])
    for row in matrix["systems"]:
        if (row["id"], row["version"]) == (identity, version) and facts.architecture == "x86_64":
            found: Mapping[str, Any] = row
            return found
    what = title or f"{identity} {version}".strip() or "unknown"
    return Refusal(
        f"its system is {what} on {facts.architecture or 'an unknown architecture'}, and a GPU node is made of {known} "
        "on x86_64",
        "Choose another image",
    )


def _unusable(facts: GpuFacts, demand: GpuDemand) -> Refusal | None:
    if not facts.root:
        return Refusal(
            "the user who logs in is not root and may not become it (sudo -n)",
            "Allow it, or log in as root: drivers, holds and services need it",
        )
    if not facts.devices:
        return Refusal("it has no NVIDIA GPU on its PCI bus", GIVE_BACK)
    if len(facts.devices) < demand.count:
        return Refusal(
            f"it has {len(facts.devices)} GPUs on its PCI bus, and {demand.count} are needed (tensorParallelSize)",
            f"Choose a SKU with {demand.count} GPUs, or lower serving.tensorParallelSize. {GIVE_BACK}",
        )
    return None


def _quiet(facts: GpuFacts) -> list[Action]:
    if facts.periodic or any(facts.unit(name).on for name in _TIMERS):
        return [Action(Deed.QUIET, _UPGRADES)]
    return []


def _hold(facts: GpuFacts) -> list[Action]:
    free = tuple(sorted(p.name for p in facts.packages if HELD.fullmatch(p.name) and not p.held and p.whole))
    return [Action(Deed.HOLD, "driver and kernel stay as they are until we change them", free)] if free else []
