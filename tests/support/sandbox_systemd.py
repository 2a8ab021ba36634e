"""systemd, this computer's own, as what keeps a sandbox's services.

It is process 1 of a further process namespace inside the sandbox's, which ends with it, and has a control group of its
own below that of this computer: no limits are set there, systemd only keeps its units apart. It starts sshd and what it
is told to later, and none of the units that this computer has enabled. As process 1 of a container it leaves it to who
started it to share mounts, as it does by itself on a machine: without that a service never sees its credentials.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
MOUNTS = Path("/proc/self/mounts")
TARGET = """[Unit]
Description=What a sandbox runs
Wants=ssh.service
"""
SSH = """[Service]
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
"""
"""Named as on Ubuntu."""
SCRIPT = f"""
mount --bind -o ro /proc/sys /proc/sys
mount --bind /dev/.boot_id /proc/sys/kernel/random/boot_id
mount -t cgroup2 sandbox /sys/fs/cgroup
mount --make-rshared /
container=sandbox exec {SYSTEMD} --unit=sandbox.target
"""
NAMESPACES = ("--pid", "--mount", "--cgroup", "--fork", "--kill-child", "--mount-proc")
COMMAND = ("unshare", *NAMESPACES, "sh", "-euc", SCRIPT)


def missing() -> str:
    """What this computer lacks for it, "" if nothing."""
    if not SYSTEMD.exists():
        return f"sandboxes with systemd need {SYSTEMD}: apt-get install systemd"
    if not os.access(_hierarchy() or "/nowhere", os.W_OK):
        return "sandboxes with systemd need a cgroup2 file system that can be written"
    return ""


def seed(sshd: tuple[str, ...]) -> dict[str, tuple[str | bytes, int]]:
    """Files for the machine, in the form of sandbox.py. `sshd` is the command that lets people in."""
    units = "etc/systemd/system"
    return {
        f"{units}/sandbox.target": (TARGET, 0o644),
        f"{units}/ssh.service": (SSH.format(command=shlex.join(sshd)), 0o644),
        "etc/fstab": ("", 0o644),  # this computer's disks are none of its business
    }


def enclose(pid: int) -> Path:
    """Puts the process, and what it will start, into a new control group. `dissolve` it."""
    hierarchy = _hierarchy()
    assert hierarchy is not None
    group = Path(tempfile.mkdtemp(prefix="xo-sandbox-", dir=hierarchy))
    (group / "cgroup.procs").write_text(str(pid))
    return group


def dissolve(group: Path) -> None:
    """Removes a control group whose processes have ended, with all below it."""
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(FileNotFoundError):
            Path(folder).rmdir()


def _hierarchy() -> Path | None:
    """Where this computer has cgroup2."""
    for line in MOUNTS.read_text().splitlines():
        _, where, kind = line.split()[:3]
        if kind == "cgroup2":
            return Path(where)
    return None
