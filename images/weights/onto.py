"""Weights come onto a machine: the program of `agent` is run there, and what it says becomes progress or an error."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from images.bundle import Bundle, Weights
from images.remote.connection import Connection
from images.remote.errors import CommandFailed, DiskFull, RemoteError
from images.remote.exchange import Result
from images.remote.host import Host
from images.remote.scripts import Scripts, run_program
from images.remote.waiting import Progress, Say, Waiting
from images.tokens import resolve, secret_path

_HERE = Path(__file__).resolve().parent
SCRIPTS = Scripts(_HERE / "scripts")
_MAIN = "import sys\nfrom agent.cli import main\nsys.exit(main())\n"
_LONGEST_NO_OP_S = 60
"""Of a look that changes nothing."""


class WeightsFailed(RemoteError):
    """The weights are not there, for the reason `kind` (`agent.told.Refused`); what came is kept."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Brought:
    """What is there."""

    revision: str
    bytes: int
    files: int
    fetched_bytes: int
    verified: bool

    def told(self, model: str) -> str:
        """For people."""
        state = "verified" if self.verified else "NOT verified"
        return f"{model}@{self.revision}, {self.bytes / 2**30:.1f} GiB, {state}"


@cache
def program() -> bytes:
    """The agent as one file that Python runs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        for path in sorted((_HERE / "agent").rglob("*.py")):
            name = path.relative_to(_HERE).as_posix()
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def job_of(host: Host, bundle: Bundle, weights: Weights, record: bytes | None) -> dict[str, Any]:
    """What the program is told. `record` is the content of the record's file. No secret: the path of one."""
    known = None if record is None else json.loads(record)
    folder = resolve(weights.folder, host, bundle, where="weights")
    name = weights.folder.rpartition("/")[2] if weights.kind != "path" else weights.place.strip("/").replace("/", "--")
    old = f"{host.root}/models"
    return {
        "kind": weights.kind,
        "place": weights.place,
        "model": weights.model,
        "revision": weights.revision,
        "folder": folder,
        "marker": f"{host.weights}/{name}.json",
        "endpoint": weights.endpoint,
        "region": weights.region,
        "secret_file": secret_path(weights.secret, host) if weights.secret else "",
        # A token that was made for the hub is no mirror's to see.
        "old_secret_file": f"{old}/token" if weights.kind == "hf" and not weights.endpoint else "",
        "record": None if known is None else known["files"],
        "record_revision": "" if known is None else known["revision"],
        "unverified": weights.unverified,
        "stall_s": weights.stall_s,
        "deadline_s": weights.deadline_s,
        "old_caches": [*dict.fromkeys((old, host.weights))] if weights.kind == "hf" else [],
    }


def bring(
    connection: Connection,
    job: Mapping[str, Any],
    watch: Waiting,
    say: Say,
    hear: Callable[[str], None] = lambda line: None,
) -> Brought:
    """The files of the job are on the machine afterwards; `hear` gets the lines of JSON that `Job.gives` asks for, and
    the result's. Raises WeightsFailed, DiskFull, CommandFailed, and what
    Connection.run raises."""
    result = run_program(
        connection,
        program(),
        job,
        place=f"{connection.host.root}/state/weights.pyz",
        what_for="weights are fetched",
        watch=watch,
        step=f"bringing the weights of {job['model']}",
        progress=Progress(say, prefix="weights: "),
        hear=hear,
    )
    return _read(result, connection.host.where)


def look(connection: Connection, job: Mapping[str, Any], watch: Waiting) -> Brought:
    """What is there, if that is all of the job. Changes nothing. Raises WeightsFailed or CommandFailed, which say why
    it is not, and what Connection.run raises."""
    return bring(connection, {**job, "look": True}, watch.within(_LONGEST_NO_OP_S), lambda line: None)


def _read(result: Result, where: str) -> Brought:
    try:
        told = json.loads(result.stdout.splitlines()[-1])
        if result.status == 0:
            return Brought(**told["brought"])
        kind, message = told["refused"]["kind"], told["refused"]["message"]
    except (LookupError, ValueError, TypeError) as e:
        raise CommandFailed(f"the weights could not be brought onto {where} ({result.status}):\n{result.tail}") from e
    raise DiskFull(f"{where}: {message}") if kind == "full" else WeightsFailed(f"{where}: {message}", kind)
