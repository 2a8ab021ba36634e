"""Files that differ are sent."""

from __future__ import annotations

from images.vehicles.ssh.layout.layout import PROGRAMS, PlannedFile, draft_manifest
from images.vehicles.ssh.steps.installation import Installation


def send_files(under_way: Installation) -> None:
    """Files that differ go in one stream and are put in place together, with marks for the services they disturb."""
    if under_way.changed:
        size = sum(len(f.content) for f in under_way.changed)
        under_way.say(f"sending {len(under_way.changed)} files that differ, {size / 1024:.0f} KiB")
        wanted = under_way.wanted.items()
        marks = [PlannedFile(f"state/pending/{n}", f"{e}\n".encode(), 0o600, {}) for n, e in wanted]
        draft = draft_manifest(under_way.layout, under_way.probe.recorded())
        under_way.put([*marks, draft, *under_way.changed], "sending files")
        under_way.transferred_bytes += size
    # supervisord learns what is gone from its folder of programs; other files go once nothing uses them.
    under_way.clean([p for p in under_way.leftovers if p.startswith(PROGRAMS)])
