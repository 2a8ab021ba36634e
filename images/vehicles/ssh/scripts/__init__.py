"""The installer's sh scripts, one a file, and the way files get to a machine."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from images.remote.connection import Connection
from images.remote.scripts import Scripts, require
from images.remote.waiting import Waiting
from images.vehicles.ssh.layout.layout import PlannedFile

FOLDER = Path(__file__).resolve().parent
_SCRIPTS = Scripts(FOLDER)
read_script, run_script = _SCRIPTS.read, _SCRIPTS.run


def put_files(connection: Connection, files: Iterable[PlannedFile], root: str, *, watch: Waiting, step: str) -> int:
    """Places files below `root`, all of them or (full disk, broken connection) none; returns the bytes of their
    contents. Raises DiskFull, CommandFailed, and what Connection.run raises."""
    chosen = list(files)
    result = run_script(connection, "receive", args=[root], watch=watch, step=step, stdin=_archive(chosen))
    require(result, f"{connection.host.where} could not take the files into {root}")
    return sum(len(f.content) for f in chosen)


def _archive(files: list[PlannedFile]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in [*files, PlannedFile(".complete", b"", 0o600, {})]:
            info = tarfile.TarInfo(file.path)
            info.size = len(file.content)
            info.mode = file.mode
            tar.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()
