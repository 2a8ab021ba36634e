"""Brings a bundle onto a machine over SSH: only what differs, safe to interrupt anywhere, and done when it answers.

The machine's own state decides what is done, never a memory of the last run: see the list in `steps/order.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.errors import RemoteError
from images.remote.host import Host
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.sources import REPOSITORY
from images.vehicles.ssh.access import connect
from images.vehicles.ssh.layout.layout import layout_for, secret_files
from images.vehicles.ssh.steps.installation import Installation, Say, Step, run_steps
from images.vehicles.ssh.steps.order import STEPS
from images.weights.siblings import Siblings


@dataclass(frozen=True, slots=True)
class InstallReport:
    """What an install did. All empty and 0 where everything stood as it should."""

    changed_files: tuple[str, ...]
    """Paths below the root: sent, or removed because the bundle no longer has them."""
    transferred_bytes: int
    """Of contents: files and requirements."""
    restarted: tuple[str, ...]
    """Services started anew, for whatever reason."""
    reloaded: tuple[str, ...]
    checks: tuple[str, ...]
    """Names of the checks that passed: all of the bundle's."""
    seconds: float
    found: Mapping[str, str] = field(default_factory=dict)
    """What the machine turned out to have, for people."""


def install(
    host: Host,
    bundle: Bundle,
    secrets: Mapping[str, str],
    private_key: str,
    *,
    say: Say,
    cancelled: Callable[[], bool],
    deadline_s: float,
    previous_private_key: str | None = None,
    repository: Path = REPOSITORY,
    connect_within_s: float = 120,
    steps: Sequence[Step] = STEPS,
    siblings: Siblings | None = None,
) -> InstallReport:
    """Installs `bundle` and returns when it is ready.

    `secrets` are delivered as files of mode 0600, those alone that the bundle names. With `previous_private_key` the
    machine may still know that key only: the new one is then made known to it and the old one dropped. `repository`
    holds what the bundle's sources refer to. `connect_within_s` bounds the wait for a machine that does not answer yet.
    `siblings` are who may have its weights.
    `say` and the errors get no secret. Raises one of images.remote.errors; the machine is never ended, and calling
    again resumes. One install of a root at a time: callers see to that.
    """
    began = time.monotonic()
    layout = layout_for(host, bundle, repository)
    wanted = secret_files(bundle, secrets)
    mask = Mask([*secrets.values(), private_key, previous_private_key or ""])
    watch = Waiting(deadline_s, cancelled)

    def tell(text: str) -> None:
        say(mask(text))

    def reach(within_s: float, previous: str | None = None) -> Connection:
        return connect(host, private_key, previous, watch, tell, within_s)

    try:
        connection = reach(connect_within_s, previous_private_key)
        with Installation(connection, layout, wanted, watch, tell, mask, siblings) as under_way:
            run_steps(steps, under_way, reach)
    except RemoteError as e:
        e.args = tuple(mask(a) if isinstance(a, str) else a for a in e.args)
        raise
    return _report(under_way, time.monotonic() - began)


def _report(done: Installation, seconds: float) -> InstallReport:
    return InstallReport(
        changed_files=(*(f.path for f in done.changed), *done.leftovers),
        transferred_bytes=done.transferred_bytes,
        restarted=tuple(done.applied.restarted),
        reloaded=tuple(done.applied.reloaded),
        checks=done.passed,
        seconds=seconds,
        found=done.found,
    )
