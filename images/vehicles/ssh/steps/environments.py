"""Folders, and the Python environments that are missing."""

from __future__ import annotations

from images.remote.scripts import require
from images.remote.waiting import Progress
from images.vehicles.ssh.layout.layout import INSTALLER, PlannedEnvironment
from images.vehicles.ssh.scripts import run_script
from images.vehicles.ssh.steps.installation import Installation

FULL_STATUS = 28
"""With which environment.sh ends where it found the disk full."""


def build_environments(under_way: Installation) -> None:
    """Makes the folders, and those environments that are missing, in the machine's cache."""
    layout = under_way.layout
    host = layout.host
    result = run_script(
        under_way.connection,
        "prepare",
        args=[host.root, host.cache, host.scratch, *layout.bundle.directories],
        watch=under_way.watch,
        step="making folders",
    )
    require(result, f"{host.where} does not let {host.ssh_user} make its folders")
    for environment in layout.environments:
        if environment.folder not in under_way.probe.environments:
            if environment.installer is not None and not under_way.probe.uv:
                _build(under_way, environment.installer)
                under_way.probe.uv = f"{environment.installer.folder}/bin/{INSTALLER}"
            _build(under_way, environment)


def _build(under_way: Installation, environment: PlannedEnvironment) -> None:
    probe = under_way.probe
    under_way.say(f"building the Python environment {environment.name} with {'uv' if probe.uv else 'pip'}")
    under_way.transferred_bytes += len(environment.requirements)
    result = run_script(
        under_way.connection,
        "environment",
        args=[environment.folder, probe.python, probe.uv, str(environment.disk_bytes)],
        stdin=environment.requirements,
        watch=under_way.watch,
        step=f"building the Python environment {environment.name}",
        on_line=Progress(under_way.say, prefix=f"environment {environment.name}: "),
    )
    where = under_way.layout.host.where
    failure = f"the Python environment {environment.name} could not be built on {where}"
    require(result, failure, full=result.status == FULL_STATUS)
