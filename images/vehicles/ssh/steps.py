"""The steps of an install, in their order. The machine's own state decides what each of them does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from images.remote.connection import Connection
from images.remote.errors import CommandFailed, DiskFull
from images.remote.mask import Mask
from images.remote.waiting import Progress, Waiting
from images.vehicles.ssh.checks import Checks
from images.vehicles.ssh.keepers.choice import keeper
from images.vehicles.ssh.keepers.keeper import Applied, Keeper
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.layout import PROGRAMS, Layout, PlannedEnvironment, PlannedFile, draft_manifest
from images.vehicles.ssh.probe import Probe, ask, require_programs
from images.vehicles.ssh.scripts import put_files, require, run_script

DISK_MARGIN_BYTES = 1 << 20
"""Kept free beyond what is sent, for folders and logs."""
FULL_STATUS = 28
"""With which environment.sh ends where it found the disk full."""
MOST_RECONNECTS = 3
"""How often one step may ask for a new connection."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Installation:
    """One install under way: what is wanted, what the machine said, what was done."""

    connection: Connection
    layout: Layout
    secrets: tuple[PlannedFile, ...]
    watch: Waiting
    say: Say
    mask: Mask

    probe: Probe = field(default_factory=Probe)
    """What the machine said, last asked in the first step or after a new connection."""
    changed: tuple[PlannedFile, ...] = ()
    wanted: Mapping[str, Effect] = field(default_factory=dict)
    """Service → what is asked for."""
    leftovers: tuple[str, ...] = ()
    transferred_bytes: int = 0
    applied: Applied = field(default_factory=Applied)
    passed: tuple[str, ...] = ()
    """Names of checks."""

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the connection of now."""
        self.connection.close()

    def ask(self) -> Probe:
        """Looks at the machine."""
        self.probe = ask(self.connection, self.layout, self.layout.bundle.secrets, self.watch)
        return self.probe

    def put(self, files: Iterable[PlannedFile], step: str) -> None:
        """Sends files of ours."""
        put_files(self.connection, files, self.layout.host.root, watch=self.watch, step=step)

    def clean(self, paths: Sequence[str]) -> None:
        """Removes files of ours."""
        if paths:
            run_script(
                self.connection,
                "clean",
                args=[self.layout.host.root],
                stdin="".join(f"{p}\n" for p in paths).encode(),
                watch=self.watch,
                step="removing what the bundle no longer has",
            )

    def keeper(self) -> Keeper:
        """What keeps the services alive, over the connection of now."""
        return keeper(self.connection, self.layout, self.watch, self.say)


@dataclass(frozen=True, slots=True)
class Reconnect:
    """A step asks for a new connection. It is then run again, and sees by the machine's state how far it came.

    A step that restarts the machine waits until its connection has ended before it asks, or it meets the old system.
    """

    why: str
    within_s: float
    """How long the machine may take until it answers."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `name` is for messages. Run twice, it does nothing the second time."""

    name: str
    run: Callable[[Installation], Reconnect | None]


def run_steps(steps: Iterable[Step], under_way: Installation, connect: Callable[[float], Connection]) -> None:
    """Runs all steps. `connect` gives a new connection within so many seconds, where a step asks for one.

    Raises what steps and `connect` raise, and CommandFailed for a step that never stops asking.
    """
    for step in steps:
        asked = 0
        while (wish := step.run(under_way)) is not None:
            asked += 1
            if asked > MOST_RECONNECTS:
                where = under_way.layout.host.where
                raise CommandFailed(f"{where}: {step.name} asked {asked} times to connect again: {wish.why}")
            under_way.say(f"connecting again: {wish.why}")
            under_way.connection.close()
            under_way.connection = connect(wish.within_s)
            under_way.ask()


def look(under_way: Installation) -> None:
    """Programs, environments, hashes of all files, services, marks of an interrupted run; what follows from them."""
    under_way.say("looking at the machine")
    probe, layout = under_way.ask(), under_way.layout
    require_programs(probe, layout)
    under_way.changed = tuple(f for f in (*layout.files, *under_way.secrets) if probe.differs(f))
    under_way.leftovers = probe.leftovers(layout)
    under_way.wanted = wanted_effects(probe, under_way.changed)
    if under_way.changed:
        _require_room(under_way)


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
            _build(under_way, environment)
            under_way.transferred_bytes += len(environment.requirements)


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


def bring_services(under_way: Installation) -> None:
    """Services are started, restarted or signalled, and their marks taken away; what the bundle no longer has goes."""
    under_way.applied = under_way.keeper().apply(under_way.probe, under_way.wanted)
    known = {s.name for s in under_way.layout.bundle.services}
    pending = [f"state/pending/{n}" for n in under_way.probe.pending if n not in known]
    under_way.clean([*under_way.leftovers, *pending])


def accept(under_way: Installation) -> None:
    """The checks pass, every service is up, and the manifest is written."""
    layout, keeping = under_way.layout, under_way.keeper()
    checks = Checks(under_way.connection, layout, under_way.watch, under_way.say, under_way.mask, keeping)
    under_way.passed = checks.wait()
    checks.settle()
    if under_way.leftovers or under_way.probe.differs(layout.manifest):
        under_way.put([layout.manifest], "writing the manifest")


STEPS = (
    Step("looking at the machine", look),
    Step("building environments", build_environments),
    Step("sending files", send_files),
    Step("bringing services up to date", bring_services),
    Step("waiting until it answers", accept),
)


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


def _build(under_way: Installation, environment: PlannedEnvironment) -> None:
    probe = under_way.probe
    under_way.say(f"building the Python environment {environment.name} with {'uv' if probe.uv else 'pip'}")
    result = run_script(
        under_way.connection,
        "environment",
        args=[environment.folder, probe.python, probe.uv],
        stdin=environment.requirements,
        watch=under_way.watch,
        step=f"building the Python environment {environment.name}",
        on_line=Progress(under_way.say, prefix=f"environment {environment.name}: "),
    )
    where = under_way.layout.host.where
    failure = f"the Python environment {environment.name} could not be built on {where}"
    require(result, failure, full=result.status == FULL_STATUS)
