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
COMING_UP = frozenset({"RUNNING", "STARTING", "BACKOFF", "active", "activating"})
"""States in which the keeper is at it; in any other we have to start the service."""


@dataclass(slots=True)
class Applied:
    """What was done to services."""

    restarted: list[str] = field(default_factory=list)
    """Started anew, for whatever reason."""
    reloaded: list[str] = field(default_factory=list)


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
    def log_of(self, service: str) -> tuple[str, str]:
        """The service's log file, and its systemd unit: one of them is empty."""


def longest_stop_s(bundle: Bundle) -> int:
    """Seconds after which every service of the bundle has ended or may be killed."""
    return max((s.stop_timeout_s for s in bundle.services), default=0) + SLACK_S
