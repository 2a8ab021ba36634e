"""The first step: what stands on the machine, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable

from images.remote.errors import DiskFull
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.layout import PlannedFile
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.steps.installation import Installation

DISK_MARGIN_BYTES = 1 << 20
"""Kept free beyond what is sent, for folders and logs."""


def look(under_way: Installation) -> None:
    """Programs, environments, hashes of all files, services, marks of an interrupted run; what follows from them."""
    under_way.say("looking at the machine")
    probe, layout = under_way.ask(), under_way.layout
    under_way.changed = tuple(f for f in (*layout.files, *under_way.secrets) if probe.differs(f))
    under_way.leftovers = probe.leftovers(layout)
    under_way.wanted = wanted_effects(probe, under_way.changed)
    if under_way.changed:
        _require_room(under_way)


def wanted_effects(probe: Probe, changed: Iterable[PlannedFile]) -> dict[str, Effect]:
    """Service → what is asked for, by files that differ and by marks of an interrupted run; a restart includes a
    reload."""
    wanted: dict[str, Effect] = {}
    asked = [*probe.pending.items(), *(item for f in changed for item in f.effects.items())]
    for service, effect in asked:
        wanted[service] = "restart" if "restart" in (effect, wanted.get(service)) else "reload"
    return wanted


def _require_room(under_way: Installation) -> None:
    host, free = under_way.layout.host, under_way.probe.free_root_bytes
    needed = sum(len(f.content) for f in under_way.changed) + DISK_MARGIN_BYTES
    if free < needed:
        raise DiskFull(
            f"{host.where} has {free >> 10} KiB free where {host.root} lies, and {needed >> 10} KiB are "
            "needed. Nothing was sent; make room and run again"
        )
