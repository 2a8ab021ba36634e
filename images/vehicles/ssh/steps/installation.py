"""An install under way, and how its steps run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from images.gpu.facts import GpuFacts
from images.remote.connection import Connection
from images.remote.errors import CommandFailed
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.vehicles.ssh.keepers.choice import keeper
from images.vehicles.ssh.keepers.keeper import Applied, Keeper
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.layout import Layout, PlannedFile
from images.vehicles.ssh.probe import Probe, ask
from images.vehicles.ssh.scripts import put_files, run_script
from images.weights.siblings import Siblings

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

    siblings: Siblings | None = None
    """The others of a node's fleet, from whom weights may come; None for a machine alone."""
    probe: Probe = field(default_factory=Probe)
    """What the machine said, last asked in the first step or after a new connection."""
    changed: tuple[PlannedFile, ...] = ()
    wanted: Mapping[str, Effect] = field(default_factory=dict)
    """Service → what is asked for."""
    leftovers: tuple[str, ...] = ()
    transferred_bytes: int = 0
    marks: Mapping[str, str] = field(default_factory=dict)
    """Of the keeper's logs, before services were touched."""
    applied: Applied = field(default_factory=Applied)
    passed: tuple[str, ...] = ()
    """Names of checks."""
    gpus: GpuFacts | None = None
    """What the step that prepares them saw last; None where nobody looked."""
    interpreter: str = ""
    """The Python of the machine's engine, a path; empty where nobody looked, or it is none."""
    found: dict[str, str] = field(default_factory=dict)
    """What the machine turned out to have, for people: {"driver": "580.95.05"}."""

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
