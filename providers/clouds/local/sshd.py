"""Which process is a machine's sshd: by id, start time and executable, as it was seen when it had started.

Its command line does not tell: sshd writes a title there, in which a letter like ö stands as "\\303\\266" (setproctitle
of OpenSSH, VIS_OCTAL). That is read only of one that an older version of this module started.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from providers.clouds.local.processes import stat

_SEEN = "sshd.json"
_ESCAPED = re.compile(rb"[^ -\[\]-~]")


@dataclass(frozen=True, slots=True)
class Seen:
    """A process, so that no other can be taken for it."""

    pid: int
    ticks: int
    """See `Stat.ticks`."""
    boot: str
    folder: str
    """Of its machine: what was copied somewhere else is another machine's."""


def configuration(folder: Path) -> Path:
    """What sshd reads."""
    return folder / "sshd_config"


def remember(folder: Path) -> bool:
    """Notes the process that sshd's own pid file names. False while there is none that is an sshd."""
    try:
        pid = int((folder / "sshd.pid").read_text())
        if Path(os.readlink(f"/proc/{pid}/exe")).name.partition(" ")[0] != "sshd":
            return False
        seen = Seen(pid, _ticks(pid), _boot(), str(folder))
    except (OSError, ValueError):
        return False
    draft = folder / f"{_SEEN}.new"
    draft.write_text(json.dumps(asdict(seen)))
    draft.rename(folder / _SEEN)
    return True


def alive(folder: Path) -> int | None:
    """The id of the machine's sshd; None where it does not run."""
    try:
        seen = Seen(**json.loads((folder / _SEEN).read_text()))
        runs = _boot() == seen.boot and str(folder) == seen.folder and _ticks(seen.pid) == seen.ticks
        # " (deleted)" stands behind the name once a newer sshd was installed.
        return seen.pid if runs and Path(os.readlink(f"/proc/{seen.pid}/exe")).name.startswith("sshd") else None
    except FileNotFoundError:
        return _by_title(folder)
    except (OSError, ValueError, TypeError):
        return None


def forget(folder: Path) -> None:
    """Before another is started."""
    for name in (_SEEN, "sshd.pid"):
        (folder / name).unlink(missing_ok=True)


def shown(path: Path) -> bytes:
    """The path as it stands in a title."""
    return _ESCAPED.sub(lambda found: b"\\\\" if found[0] == b"\\" else b"\\%03o" % found[0][0], os.fsencode(path))


def _by_title(folder: Path) -> int | None:
    try:
        pid = int((folder / "sshd.pid").read_text())
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if shown(configuration(folder)) in title else None


def _ticks(pid: int) -> int:
    found = stat(Path(f"/proc/{pid}"))
    if found.state == "Z":
        raise ProcessLookupError(pid)
    return found.ticks


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
