"""Processes and what they hold, read from /proc."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LISTEN = "0A"


def memory_bytes(pid: int) -> int:
    """The process's proportional share of memory (PSS); 0 if it ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def alive(pid: int) -> bool:
    """Whether it runs; a zombie, which only waits for its parent to look, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pids: Iterable[int]) -> None:
    """SIGKILL for each; one may have ended meanwhile."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_of(backend: Path, *words: str) -> list[int]:
    """Processes, machines' own apart, whose environment names this folder as Pulumi's backend and whose command all
    words."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        ours = f"PULUMI_BACKEND_URL=file://{backend}".encode() in environment
        if ours and "sshd" not in command and all(word in command for word in words):
            found.append(int(entry.name))
    return found


def end_strays(backend: Path, word: str) -> None:
    """Ends what a plugin of others left behind, by a word in its command."""
    kill(processes_of(backend, word))


def open_ports(pids: Iterable[int]) -> set[tuple[str, int]]:
    """(address, port) of every TCP socket on which one of the processes listens."""
    inodes = set()
    for pid in pids:
        try:
            links = [os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTEN and words[9] in inodes:
                address, port = words[1].split(":")
                found.add((_address(address, family), int(port, 16)))
    return found


def _address(text: str, family: socket.AddressFamily) -> str:
    raw = bytes.fromhex(text)
    words = struct.unpack(f"<{len(raw) // 4}I", raw)
    return socket.inet_ntop(family, struct.pack(f">{len(words)}I", *words))
