"""The plan of a bundle whose sources lie in this repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

from images.bundle import Bundle, Source
from images.remote.errors import InvalidBundle
from images.remote.host import Placement
from images.sources import repository_source
from images.vehicles.ssh.layout.plan import Plan, make_plan

SUPERVISOR_REQUIREMENTS = "requirements/supervisor.txt"


def plan_for(placement: Placement, bundle: Bundle, repository: Path) -> Plan:
    """The plan, with sources read from `repository`. Raises InvalidBundle, also where a file has changed since the
    bundle was rendered."""

    def contents(source: Source) -> bytes:
        return read_source(source, repository)

    supervisor = None
    if placement.supervision == "supervisor":
        supervisor = repository_source("supervisor.txt", SUPERVISOR_REQUIREMENTS, root=repository)
    return make_plan(bundle, placement, contents, supervisor)


def read_source(source: Source, repository: Path) -> bytes:
    """The bytes that `source` stands for. Raises InvalidBundle if they are not those it was rendered with."""
    try:
        content = (repository / source.source).read_bytes()
    except OSError as e:
        raise InvalidBundle(f"{source.source} cannot be read from the repository: {e.strerror}") from e
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise InvalidBundle(
            f"{source.source} changed after the bundle was rendered: run again, so that what is shown is what is sent"
        )
    return content
