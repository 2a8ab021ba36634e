"""The sh scripts that run on a machine, one a file, and the way they get there."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from images.remote.connection import Connection
from images.remote.errors import CommandFailed, DiskFull
from images.remote.exchange import Result
from images.remote.waiting import Waiting
from images.vehicles.ssh.layout.layout import PlannedFile

FOLDER = Path(__file__).resolve().parent

_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large|Wrote only \d+ of \d+ bytes")
"""ENOSPC, EDQUOT and EFBIG as glibc words them in the C locale, which the scripts that write choose; and what GNU tar
says when the disk fills in the middle of a block. A failed build of an environment is judged by the disk first; there
the words still tell of a quota, and of downloads that filled the disk and are removed again."""


@cache
def read_script(name: str) -> str:
    """The text of `name`.sh."""
    return (FOLDER / f"{name}.sh").read_text()


def run_script(
    connection: Connection,
    *names: str,
    args: Iterable[str] = (),
    watch: Waiting,
    step: str,
    stdin: bytes = b"",
    on_line: Callable[[str], None] | None = None,
) -> Result:
    """As Connection.run, with the scripts of those names, one after another."""
    text = "\n".join(read_script(name) for name in names)
    return connection.run(text, *args, watch=watch, step=step, stdin=stdin, on_line=on_line)


def put_files(connection: Connection, files: Iterable[PlannedFile], root: str, *, watch: Waiting, step: str) -> int:
    """Places files below `root`, all of them or (full disk, broken connection) none; returns the bytes of their
    contents. Raises DiskFull, CommandFailed, and what Connection.run raises."""
    chosen = list(files)
    result = run_script(connection, "receive", args=[root], watch=watch, step=step, stdin=_archive(chosen))
    require(result, f"{connection.host.where} could not take the files into {root}")
    return sum(len(f.content) for f in chosen)


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


def _archive(files: list[PlannedFile]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in [*files, PlannedFile(".complete", b"", 0o600, {})]:
            info = tarfile.TarInfo(file.path)
            info.size = len(file.content)
            info.mode = file.mode
            tar.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()
