"""The last step: what was installed answers."""

from __future__ import annotations

from images.vehicles.ssh.checks import Checks
from images.vehicles.ssh.steps.installation import Installation


def accept(under_way: Installation) -> None:
    """The checks pass, every service is up, and the manifest is written."""
    layout, keeping = under_way.layout, under_way.keeper()
    checks = Checks(
        under_way.connection, layout, under_way.watch, under_way.say, under_way.mask, keeping, marks=under_way.marks
    )
    under_way.passed = checks.wait()
    checks.settle()
    if under_way.leftovers or under_way.probe.differs(layout.manifest):
        under_way.put([layout.manifest], "writing the manifest")
