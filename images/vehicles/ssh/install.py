"""Brings a bundle onto a machine over SSH: only what differs, safe to interrupt anywhere, and done when it answers.

The machine's own state decides what is done, never a memory of the last run:

1. look: programs, environments, hashes of all files, services, marks of an interrupted run;
2. environments that are missing are built, in the machine's cache;
3. files that differ are sent in one stream and put in place together, with marks for the services that they disturb;
4. services are started, restarted or signalled, and their marks taken away; what the bundle no longer has is removed;
5. the checks pass, every service is up, and the manifest is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from images.bundle import Bundle
from images.remote.errors import DiskFull, InstallError
from images.remote.host import Placement
from images.remote.ssh import Connection
from images.remote.waiting import Mask, Progress, Watch
from images.sources import REPOSITORY
from images.vehicles.ssh.access import connect
from images.vehicles.ssh.checks import Checks
from images.vehicles.ssh.keeper import supervision
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.plan import (
    PROGRAMS,
    Plan,
    PlannedEnvironment,
    PlannedFile,
    draft_manifest,
    secret_files,
)
from images.vehicles.ssh.layout.planning import plan_for
from images.vehicles.ssh.probe import Probe, ask, require_programs
from images.vehicles.ssh.scripts import put_files, require, run_script

DISK_MARGIN_BYTES = 1 << 20
"""Kept free beyond what is sent, for folders and logs."""
FULL_STATUS = 28
"""With which environment.sh ends where it found the disk full."""

Say = Callable[[str], None]


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


def install(
    placement: Placement,
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
) -> InstallReport:
    """Installs `bundle` and returns when it is ready.

    `secrets` are delivered as files of mode 0600, those alone that the bundle names. With `previous_private_key` the
    machine may still know that key only: the new one is then made known to it and the old one dropped. `repository`
    holds what the bundle's sources refer to. `connect_within_s` bounds the wait for a machine that does not answer yet.
    `say` and the errors get no secret. Raises one of images.remote.errors; the machine is never ended, and
    calling again resumes. One install of a root at a time: callers see to that.
    """
    began = time.monotonic()
    plan = plan_for(placement, bundle, repository)
    secret = secret_files(bundle, secrets)
    mask = Mask([*secrets.values(), private_key, previous_private_key or ""])
    watch = Watch(deadline_s, cancelled)

    def tell(text: str) -> None:
        say(mask(text))

    try:
        with connect(placement, private_key, previous_private_key, watch, tell, connect_within_s) as connection:
            run = _Run(connection, plan, secret, watch, tell, mask)
            return run.all(began)
    except InstallError as e:
        e.args = tuple(mask(a) if isinstance(a, str) else a for a in e.args)
        raise


@dataclass(slots=True)
class _Run:
    """One install, step by step."""

    connection: Connection
    plan: Plan
    secrets: tuple[PlannedFile, ...]
    watch: Watch
    say: Say
    mask: Mask

    def all(self, began: float) -> InstallReport:
        self.say("looking at the machine")
        probe = ask(self.connection, self.plan, self.plan.bundle.secrets, self.watch)
        require_programs(probe, self.plan)
        changed = [f for f in (*self.plan.files, *self.secrets) if probe.differs(f)]
        leftovers = probe.leftovers(self.plan)
        wanted = wanted_effects(probe, changed)
        if changed:
            self._require_room(probe, changed)
        self._prepare()
        transferred = self._build_environments(probe)
        transferred += self._send(changed, wanted, draft_manifest(self.plan, probe.recorded()))
        # supervisord learns what is gone from its folder of programs; files are removed once nothing uses them.
        self._clean([p for p in leftovers if p.startswith(PROGRAMS)])
        applied = supervision(self.connection, self.plan, self.watch, self.say).apply(probe, wanted)
        known = {s.name for s in self.plan.bundle.services}
        self._clean([*leftovers, *(f"state/pending/{n}" for n in probe.pending if n not in known)])
        passed = self._accept()
        if leftovers or probe.differs(self.plan.manifest):
            self._put([self.plan.manifest], "writing the manifest")
        return InstallReport(
            changed_files=(*(f.path for f in changed), *leftovers),
            transferred_bytes=transferred,
            restarted=tuple(applied.restarted),
            reloaded=tuple(applied.reloaded),
            checks=passed,
            seconds=time.monotonic() - began,
        )

    def _require_room(self, probe: Probe, changed: list[PlannedFile]) -> None:
        needed = sum(len(f.content) for f in changed) + DISK_MARGIN_BYTES
        if probe.free_root_bytes < needed:
            raise DiskFull(
                f"{self.plan.placement.where} has {probe.free_root_bytes >> 10} KiB free where "
                f"{self.plan.placement.root} lies, and {needed >> 10} KiB are needed. Nothing was sent; make room and "
                "run again"
            )

    def _prepare(self) -> None:
        placement = self.plan.placement
        result = run_script(
            self.connection,
            "prepare",
            args=[placement.root, placement.cache, placement.scratch, *self.plan.bundle.directories],
            watch=self.watch,
            step="making folders",
        )
        require(result, f"{placement.where} does not let {placement.ssh_user} make its folders")

    def _build_environments(self, probe: Probe) -> int:
        missing = [e for e in self.plan.environments if e.folder not in probe.environments]
        for environment in missing:
            self._build(environment, probe)
        return sum(len(e.requirements) for e in missing)

    def _build(self, environment: PlannedEnvironment, probe: Probe) -> None:
        self.say(f"building the Python environment {environment.name} with {'uv' if probe.uv else 'pip'}")
        result = run_script(
            self.connection,
            "environment",
            args=[environment.folder, probe.python, probe.uv],
            stdin=environment.requirements,
            watch=self.watch,
            step=f"building the Python environment {environment.name}",
            on_line=Progress(self.say, prefix=f"environment {environment.name}: "),
        )
        where = self.plan.placement.where
        failure = f"the Python environment {environment.name} could not be built on {where}"
        require(result, failure, full=result.status == FULL_STATUS)

    def _send(self, changed: list[PlannedFile], wanted: Mapping[str, Effect], draft: PlannedFile) -> int:
        if not changed:
            return 0
        size = sum(len(f.content) for f in changed)
        self.say(f"sending {len(changed)} files that differ, {size / 1024:.0f} KiB")
        marks = [PlannedFile(f"state/pending/{n}", f"{e}\n".encode(), 0o600, {}) for n, e in wanted.items()]
        self._put([*marks, draft, *changed], "sending files")
        return size

    def _put(self, files: list[PlannedFile], step: str) -> None:
        put_files(self.connection, files, self.plan.placement.root, watch=self.watch, step=step)

    def _clean(self, paths: list[str]) -> None:
        if paths:
            run_script(
                self.connection,
                "clean",
                args=[self.plan.placement.root],
                stdin="".join(f"{p}\n" for p in paths).encode(),
                watch=self.watch,
                step="removing what the bundle no longer has",
            )

    def _accept(self) -> tuple[str, ...]:
        keeper = supervision(self.connection, self.plan, self.watch, self.say)
        checks = Checks(self.connection, self.plan, self.watch, self.say, self.mask, keeper)
        passed = checks.wait()
        checks.settle()
        return passed


def wanted_effects(probe: Probe, changed: list[PlannedFile]) -> dict[str, Effect]:
    """Service → what is asked for, by files that differ and by marks of an interrupted run; a restart includes a
    reload."""
    wanted: dict[str, Effect] = {}
    asked = [*probe.pending.items(), *(item for f in changed for item in f.effects.items())]
    for service, effect in asked:
        wanted[service] = "restart" if "restart" in (effect, wanted.get(service)) else "reload"
    return wanted
