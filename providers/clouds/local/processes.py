"""What the kernel says of a process of this computer: proc_pid_stat(5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stat:
    """Of one process, as far as it is asked for."""

    state: str
    """ "Z" of one that has ended and was not waited for."""
    parent: int
    ticks: int
    """Of the kernel's clock, from the boot to its start; with the process' id, no other process is the same."""


def stat(process: Path) -> Stat:
    """Of /proc/PID. Raises OSError where there is none, or no more."""
    # The name stands in brackets before these fields, and may hold anything.
    state, parent, *rest = (process / "stat").read_text().rpartition(")")[2].split()
    return Stat(state, int(parent), int(rest[17]))
