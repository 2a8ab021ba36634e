"""Scripts that run on a machine: a file each in the folder of whoever owns them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.remote.connection import Connection
from images.remote.errors import CommandFailed, DiskFull
from images.remote.exchange import Result
from images.remote.waiting import Progress, Waiting

_FOLDER = Path(__file__).resolve().parent
_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large|Wrote only \d+ of \d+ bytes")
"""ENOSPC, EDQUOT and EFBIG as glibc words them in the C locale, which the scripts that write choose; and what GNU tar
says when the disk fills in the middle of a block. A failed build of an environment is judged by the disk first; there
the words still tell of a quota, and of downloads that filled the disk and are removed again."""
NO_ROOT = 77
"""With which a script that needs root ends where sudo refuses: EX_NOPERM of sysexits.h."""
_AS_ROOT = f"""[ "$(id -u)" -ne 0 ] || exec sh -c "$@"
sudo -n true || exit {NO_ROOT}
exec sudo -n sh -c "$@"
"""


@dataclass(frozen=True, slots=True)
class Scripts:
    """The sh scripts of one folder."""

    folder: Path

    def read(self, name: str) -> str:
        """The text of `name`.sh: the folder's own, or one beside this module, for all of them."""
        own = self.folder / f"{name}.sh"
        return (own if own.is_file() else _FOLDER / own.name).read_text()

    def run(
        self,
        connection: Connection,
        *names: str,
        args: Iterable[str] = (),
        watch: Waiting,
        step: str,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
        root: bool = False,
    ) -> Result:
        """As Connection.run, with the scripts of those names, one after another; as root where that is asked, or with
        the status NO_ROOT and sudo's words."""
        text = "\n".join(self.read(name) for name in names)
        words = (_AS_ROOT, text, "crossover", *args) if root else (text, *args)
        return connection.run(*words, watch=watch, step=step, stdin=stdin, on_line=on_line)


_OWN = Scripts(_FOLDER)


def run_program(
    connection: Connection,
    program: bytes,
    job: Mapping[str, Any],
    *,
    place: str,
    what_for: str,
    watch: Waiting,
    step: str,
    progress: Progress,
    hear: Callable[[str], None] = lambda line: None,
) -> Result:
    """Runs a Python program that needs no package by the machine's own Python, 3.11 or newer. It gets `job` as JSON on
    stdin, and lies at `place` meanwhile. Its lines are progress, but those of JSON, which are for the caller: in the
    result, and to `hear` as they come. Without such a Python the status is 127, and stderr says so, with `what_for`
    ("weights are fetched")."""
    return _OWN.run(
        connection,
        "python",
        "program",
        args=[place, str(len(program)), what_for],
        stdin=program + json.dumps(job).encode(),
        watch=watch,
        step=step,
        on_line=lambda line: hear(line) if line.startswith("{") else progress(line),
    )


def require(result: Result, failure: str, *, full: bool = False) -> Result:
    """The result if it succeeded. Else raises DiskFull or CommandFailed: `failure`, and the end of the output. `full`
    says that the script has looked at the disk and found no room."""
    if result.status == 0:
        return result
    if full or _FULL.search(result.stderr) or _FULL.search(result.stdout):
        raise DiskFull(
            f"{failure}: no room on its disk. Files there are as they were; make room and run again.\n{result.tail}"
        )
    raise CommandFailed(f"{failure} (status {result.status}):\n{result.tail}")
