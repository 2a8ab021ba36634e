"""Services are brought to what stands on the disk."""

from __future__ import annotations

from images.vehicles.ssh.checks import down_services
from images.vehicles.ssh.ports import require_ports
from images.vehicles.ssh.steps.installation import Installation


def bring_services(under_way: Installation) -> None:
    """Services are started, restarted or signalled, and their marks taken away; what the bundle no longer has goes."""
    if down_services(under_way.probe, under_way.layout):
        require_ports(under_way.connection, under_way.layout, under_way.watch)
    keeping = under_way.keeper()
    under_way.marks = keeping.marks()
    under_way.applied = keeping.apply(under_way.probe, under_way.wanted)
    known = {s.name for s in under_way.layout.bundle.services}
    pending = [f"state/pending/{n}" for n in under_way.probe.pending if n not in known]
    under_way.clean([*under_way.leftovers, *pending])
