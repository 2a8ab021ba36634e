"""Who holds a stack's lock in a backend of files, and whether that engine still lives.

Usage: python -m scripts.locks BACKEND_FOLDER STACK. Exit 0: there are locks, and each is a dead engine's; 1: there is
none; 3: one may be alive, and it says whose.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from providers.clouds.local.processes import stat

CLOCK_S = 2.0
"""The kernel tells in whole seconds when the computer was started."""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The engine that made one lock, in the words of its file (pkg/v3 backend/diy/lock.go)."""

    pid: int
    hostname: str
    username: str
    since: str
    """RFC 3339."""

    def __str__(self) -> str:
        return f"{self.username}@{self.hostname}, process {self.pid}, since {self.since}"

    def may_live(self, here: str, proc: Path = Path("/proc")) -> bool:
        """Whether that engine may still write the state. Of another computer nothing is known, so it may. A process
        that began after the lock was made has only been given the same number."""
        if self.hostname != here:
            return True
        began = started_at(self.pid, proc)
        if began is None:
            return False
        try:
            since = datetime.fromisoformat(self.since)
        except ValueError:
            return True
        return began <= (since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp() + CLOCK_S


def holders(backend: Path, stack: str) -> list[LockHolder]:
    """Of every lock of the stack, whatever its project. What cannot be read is a lock that somebody is just writing."""
    found = []
    for file in sorted(backend.glob(f".pulumi/locks/organization/*/{stack}/*.json")):
        try:
            said = json.loads(file.read_text("utf-8"))
            found.append(LockHolder(int(said["pid"]), said["hostname"], said["username"], said["timestamp"]))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError):
            found.append(LockHolder(0, "?", "?", "?"))
    return found


def started_at(pid: int, proc: Path = Path("/proc")) -> float | None:
    """When the process began, in seconds since the epoch; None where there is none of that number."""
    try:
        ticks = stat(proc / str(pid)).ticks
        booted = next(line for line in (proc / "stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, IndexError, ValueError):
        return None
    return int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def main(arguments: list[str]) -> int:
    backend, stack = arguments
    found = holders(Path(backend), stack)
    living = [holder for holder in found if holder.may_live(socket.gethostname())]
    for holder in living:
        print(f"{stack} is locked by {holder}", file=sys.stderr)
    return 3 if living else 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
