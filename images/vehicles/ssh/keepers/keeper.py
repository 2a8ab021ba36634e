"""What a keeper of services does, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.waiting import Waiting
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.layout import Layout
from images.vehicles.ssh.probe import Probe

SLACK_S = 10
"""On top of a service's own time to stop, before a stray is killed."""
COMING_UP = frozenset({"RUNNING", "STARTING", "active", "activating"})
"""States in which we leave a service alone. In any other we have to start it: also where the keeper waits before it
tries again, for it waits the longer the more often it failed."""
FROM_NOW = "-"
"""In place of a mark: nothing that a log holds already is news."""


@dataclass(slots=True)
class Applied:
    """What was done to services."""

    restarted: list[str] = field(default_factory=list)
    """Started anew, for whatever reason."""
    reloaded: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sign:
    """What a line of a keeper says of a service: it has exited, it is started again after that, or it had to be killed.

    A keeper may tell the first two in one line, or in two."""

    service: str
    exited: str = ""
    """How: "exit status 1"."""
    again: bool = False
    killed: bool = False


@dataclass(slots=True)
class Keeper(ABC):
    """Keeps the services of one bundle alive on one machine."""

    connection: Connection
    layout: Layout
    watch: Waiting
    say: Callable[[str], None]

    @abstractmethod
    def apply(self, probe: Probe, wanted: Mapping[str, Effect]) -> Applied:
        """Brings services to what stands on the disk. `wanted`: service → what its changed files ask for. Raises
        CommandFailed; a service that does not come up is left to the checks, which show its log."""

    @abstractmethod
    def stop(self, service: str) -> None:
        """Ends a service until the next `apply`, or the machine's next start."""

    @abstractmethod
    def log_of(self, service: str) -> tuple[str, str]:
        """The service's log file, and its systemd unit: one of them is empty."""

    @abstractmethod
    def marks(self) -> dict[str, str]:
        """Log → up to where it is no news, as `followed` takes it. What a service writes and how it ends can be told
        from then on."""

    @abstractmethod
    def followed(self, marks: Mapping[str, str]) -> list[str]:
        """The lines by which check.sh follows the logs of all services and of the keeper; without a mark from now
        on."""

    @abstractmethod
    def sign(self, log: str, line: str) -> Sign | None:
        """What the keeper says by that line of that log; None for the services' own lines."""


def longest_stop_s(bundle: Bundle) -> int:
    """Seconds after which every service of the bundle has ended or may be killed."""
    return max((s.stop_timeout_s for s in bundle.services), default=0) + SLACK_S
