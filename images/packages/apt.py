"""Packages come onto a machine by its own apt, and nothing starts that we did not start.

Each call is one run of a script as root. It waits for apt's locks, finishes what an interrupted dpkg left, and goes on
when the connection is lost; the next call then waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path

from images.remote.connection import Connection
from images.remote.errors import DiskFull, RemoteError
from images.remote.exchange import Result
from images.remote.scripts import NO_ROOT, Scripts
from images.remote.waiting import Progress, Say, Waiting

LOCKS_S = 900.0
"""Patience with who holds apt's locks. A first boot's own upgrade takes minutes."""
SCRIPTS = Scripts(Path(__file__).resolve().parent / "scripts")
_SPACE = "space"


class Kind(StrEnum):
    """Why packages could not be installed."""

    NO_ROOT = "root"
    NO_APT = "apt"
    LOCKS = "locks"
    NETWORK = "network"
    NO_PACKAGE = "package"
    OLD_VERSION = "version"
    CONFLICT = "conflict"
    FAILED = "failed"


_MEANING = {
    Kind.NO_ROOT: "the user who logs in is not root and sudo refuses ({}). Let it use sudo without a password",
    Kind.NO_APT: "there is no apt: it is {}. Debian 12, Ubuntu 22.04 and 24.04 are known",
    Kind.LOCKS: "apt's locks were not let go in time: {} holds them. Nothing was begun. See why it takes so long",
    Kind.NETWORK: "its packages' repository cannot be reached: {}. Give the machine a way there, or a mirror",
    Kind.NO_PACKAGE: "no repository that it knows has what is needed: {}. On Ubuntu, is universe among its sources?",
    Kind.OLD_VERSION: "{}. Take a younger system (Debian 12, Ubuntu 24.04), or give it a repository that has one",
    Kind.CONFLICT: "its other packages are in the way, and they are left alone: {}. Settle it there with apt-get",
    Kind.FAILED: "apt-get failed: {}. Nothing of it is undone",
}


class AptFailed(RemoteError):
    """Packages could not be installed, for the reason `kind`; the machine goes on as it did."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.kind = kind


def install(
    connection: Connection,
    demands: Iterable[str],
    *,
    watch: Waiting,
    say: Say,
    services_off: bool = True,
    leave: str = "--no-remove",
    locks_s: float = LOCKS_S,
) -> dict[str, str]:
    """Installs all in one transaction and returns what came or changed, package → version.

    A demand is "haproxy", "haproxy=2.6.12-1" or "haproxy>=2.5" (what the machine can have must be as new). Nothing is
    started now; `services_off` keeps new packages' units from the next boot, too. `leave` is --no-remove,
    --allow-downgrades or "". Raises AptFailed, DiskFull (looked at before anything is begun), and what Connection.run
    raises; it may be called again after any of them.
    """
    wanted = list(demands)
    patience_s = f"{min(locks_s, watch.remaining_s):.0f}"
    args = [patience_s, "off" if services_off else "enabled", leave, *wanted]
    result = _run(connection, "install", args, watch, say, f"installing {', '.join(wanted)}")
    lines = (line.split("\t") for line in result.stdout.splitlines())
    return {words[1]: words[2] for words in lines if words[0] == "installed"}


def stop_upgrades(connection: Connection, *, watch: Waiting, say: Say, locks_s: float = LOCKS_S) -> None:
    """Nothing is upgraded by itself any more; waits for an upgrade that is under way. Run it before all else on a
    machine whose driver must stay. Raises as `install`."""
    patience_s = f"{min(locks_s, watch.remaining_s):.0f}"
    _run(connection, "upgrades", [patience_s], watch, say, "stopping upgrades that come by themselves")


def _run(connection: Connection, name: str, args: Iterable[str], watch: Waiting, say: Say, step: str) -> Result:
    result = SCRIPTS.run(connection, "apt", name, args=args, watch=watch, step=step, on_line=_telling(say), root=True)
    if result.status:
        raise _problem(result, f"{step} on {connection.host.where}")
    return result


def _telling(say: Say) -> Callable[[str], None]:
    progress = Progress(say, prefix="packages: ")

    def tell(line: str) -> None:
        kind, _, text = line.partition("\t")
        if kind == "tell":
            say(f"packages: {text}")
        elif not text:  # others with a tab are results
            progress(line)

    return tell


def _problem(result: Result, what: str) -> RemoteError:
    lines = [line.split("\t", 2) for line in result.stdout.splitlines() if line.startswith("problem\t")]
    _, kind, detail = lines[-1] if lines else ("", Kind.FAILED, f"status {result.status}")
    if result.status == NO_ROOT:
        kind, detail = Kind.NO_ROOT, result.stderr.strip().replace("\n", "; ")
    if kind == _SPACE:
        return DiskFull(f"{what}: no room on its disk: {detail}. Make room and run again")
    meaning = _MEANING[Kind(kind)].format(detail.strip() or "it did not say why")
    tail = f"\n{result.tail}" if kind == Kind.FAILED else ""
    return AptFailed(f"{what}: {meaning}, and run again{tail}", Kind(kind))
