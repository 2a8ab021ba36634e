"""The stages: look → list → space → take what lies there → fetch → verify → mark. Each begins from what the disk holds,
so that a run that was ended anywhere is gone on with."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .fetch import SourceOfFiles, Tally, fetch_all, part_of
from .job import Job
from .keep import Marker, right_ones
from .listing import Entry, Listing, chosen, identity, of_record
from .reuse import reuse
from .sources.hub import Hub
from .sources.s3 import S3Folder
from .told import Refused, gib, say

_SOURCES: Mapping[str, Callable[[Job], SourceOfFiles]] = {"hf": Hub, "s3": S3Folder}
"""By `Job.kind`: where files are fetched from."""


def bring(job: Job) -> dict[str, Any]:
    """What is there afterwards: {"revision", "bytes", "files", "fetched_bytes", "verified"}. Raises Refused."""
    folder, marker = Path(job.folder), Marker.read(Path(job.marker))
    want = wanted(job)
    if _is_there(job, marker, want):
        return result(marker, 0)
    if job.kind != "path" and folder.is_symlink():  # what is no file of the model would be removed where it leads
        raise Refused(
            "permission",
            f"{folder} is a symbolic link. Remove it, or have the files read where it leads, and left alone there: "
            f"serving.weights: {{source: path, path: {folder.resolve()}}}",
        )
    if job.look:
        raise Refused("absent", f"the weights of {job.model} are not all in {folder}, or were not verified")
    _make(Path(job.marker).parent, *([] if job.kind == "path" else [folder]))
    with _alone(job):
        marker = Marker.read(Path(job.marker))  # whoever held the lock may have brought them
        if _is_there(job, marker, want):
            return result(marker, 0)
        return _in_place(job, marker, want) if job.kind == "path" else _fetched(job, marker, want)


def _is_there(job: Job, marker: Marker, want: str) -> bool:
    trusted = marker.want == want and (marker.verified or job.unverified)
    return trusted and not job.again and marker.holds(Path(job.folder))


def wanted(job: Job) -> str:
    """A name of what is asked for. With a record it does not matter where it comes from."""
    if job.record is not None:
        return identity("record", {path: known["sha256"] for path, known in job.record.items()})
    return identity(job.kind, job.place, job.revision, job.endpoint)


def result(marker: Marker, fetched: int) -> dict[str, Any]:
    """As `bring` returns it."""
    return {
        "revision": marker.revision,
        "bytes": marker.size,
        "files": len(marker.files),
        "fetched_bytes": fetched,
        "verified": marker.verified,
    }


def _in_place(job: Job, marker: Marker, want: str) -> dict[str, Any]:
    """Files that somebody else keeps there: compared with their record, never changed."""
    folder = Path(job.folder)
    if not folder.is_dir():
        raise Refused("missing", f"{folder} is not there: is its volume mounted? See serving.weights.path")
    if job.record is None:
        return _believed(job, marker, want)
    listing = of_record(job.record, job.record_revision)
    with Tally("reading what is there", listing.size) as tally:
        right = _right(job, listing, marker, tally)
    if wrong := [entry.path for entry in listing.entries if entry.path not in right]:
        raise Refused(
            "wrong",
            f"{folder} does not hold what the record of {job.model}@{job.revision} says: {', '.join(wrong[:5])}"
            f"{f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''} missing or different. Put the right ones there",
        )
    return _mark(job, Marker(marker.path, want, listing.revision, verified=True), right, 0)


def _believed(job: Job, marker: Marker, want: str) -> dict[str, Any]:
    """A folder of which nothing is known, where that was allowed."""
    folder = Path(job.folder)
    _require_leave(job)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    entries = chosen(Entry(path, file.stat().st_size) for path, file in files.items() if not path.startswith("."))
    if "config.json" not in [entry.path for entry in entries]:
        raise Refused("missing", f"{folder} holds no config.json: it is no folder of a model. See serving.weights.path")
    made = Marker(marker.path, want, job.revision, verified=False)
    return _mark(job, made, {entry.path: "" for entry in entries}, 0)


def _require_leave(job: Job) -> None:
    if not job.unverified:
        raise Refused(
            "record",
            f"nothing says what the files in {job.place} must be. Pin a record (`crossover weights record "
            f"{job.model}@<commit>`), or set serving.weights.unverified: true",
        )


def _fetched(job: Job, marker: Marker, want: str) -> dict[str, Any]:
    """Files of ours: those that are right stay, the others come, what is no part of the model goes."""
    source = _SOURCES[job.kind](job)
    listing = _listing(job, source)
    if not listing.entries:
        raise Refused("missing", f"{job.place} holds no file that an engine reads")
    made = Marker(marker.path, want, listing.revision)
    made.verified = all(entry.sha256 or entry.git for entry in listing.entries)
    there: dict[str, str] = {}
    _tell(job, {"files": {entry.path: entry.size for entry in listing.entries}})

    def done(entry: Entry, sha256: str) -> None:
        there[entry.path] = sha256
        _tell(job, {"has": entry.path})

    with Tally("reading what is there", listing.size) as tally:
        there.update(_right(job, listing, marker, tally))
        for path in there:
            _tell(job, {"has": path})
        marker.remove()
        reuse(job, _missing(listing, there), tally.add, done)
    if job.offered:
        shutil.rmtree(job.offered, ignore_errors=True)
    _tidy(job, listing, there)
    missing = _missing(listing, there)
    if not missing:
        return _mark(job, made, there, 0)
    source.check()
    _require_room(job, missing)
    say(f"fetching {len(missing)} of {len(listing.entries)} files of {job.model}@{listing.revision[:12]}")
    with Tally("fetching", listing.size, listing.size - sum(entry.size for entry in missing)) as tally:
        fetch_all(source, job, missing, listing.revision, tally, done)
    return _mark(job, made, there, tally.fetched_bytes)


def _tell(job: Job, what: Mapping[str, Any]) -> None:
    if job.gives:
        say(json.dumps(what))


def _listing(job: Job, source: SourceOfFiles) -> Listing:
    """What the files must be: the record, else what the source itself says. Another node's word never counts: one that
    was broken into would say what all others serve. Raises Refused where hashes are missing and no leave was given."""
    if job.record is not None:
        return of_record(job.record, job.record_revision)
    if job.kind != "hf":
        _require_leave(job)  # before anybody is asked: a bucket's list has no hashes
    listing = source.listing()
    if not all(entry.sha256 or entry.git for entry in listing.entries):
        _require_leave(job)
    return listing


def _right(job: Job, listing: Listing, marker: Marker, tally: Tally) -> dict[str, str]:
    known = Marker(marker.path) if job.again else marker

    def passed(count: int) -> None:
        job.check_time()
        tally.add(count)

    return right_ones(Path(job.folder), {e.path: e for e in listing.entries}, known, job.workers, passed)


def _missing(listing: Listing, there: Mapping[str, str]) -> list[Entry]:
    return [entry for entry in listing.entries if entry.path not in there]


def _mark(job: Job, made: Marker, there: Mapping[str, str], fetched: int) -> dict[str, Any]:
    for path, sha256 in there.items():
        made.add(Path(job.folder), path, sha256)
    made.write()
    return result(made, fetched)


def _tidy(job: Job, listing: Listing, there: Mapping[str, str]) -> None:
    """Removes what is no file of the model, and what is not right; parts that can be gone on with stay. An engine reads
    every *.safetensors that it finds."""
    folder = Path(job.folder)
    parts = {part_of(folder / entry.path) for entry in listing.entries if entry.path not in there}
    for file in [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]:
        if file not in parts and file.relative_to(folder).as_posix() not in there and not _of_another(file):
            file.unlink()


def _of_another(file: Path) -> bool:
    """A part that another machine, with which the folder is shared, may be writing."""
    return file.name.startswith(".") and file.name.endswith(".part") and time.time() - file.stat().st_mtime < 3600


def _require_room(job: Job, missing: list[Entry]) -> None:
    """Before the first byte. Raises Refused, with the numbers."""
    parts = [part_of(Path(job.folder) / entry.path) for entry in missing]
    needed = sum(e.size for e in missing) - sum(p.stat().st_size for p in parts if p.exists())
    free = shutil.disk_usage(job.folder).free
    if free < needed + job.margin_bytes:
        raise Refused(
            "full",
            f"{job.folder} has {gib(free)} free, and {gib(needed)} of {job.model} are missing there ("
            f"{gib(job.margin_bytes)} more are kept free). Nothing was fetched: make room, or give the machine a "
            "larger disk or volume",
        )


def _make(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise Refused("permission", f"{folder} cannot be made: {e.strerror}. Let {_user()} write there") from e


def _user() -> str:
    return f"the user {os.environ.get('USER') or os.getuid()}"


@contextlib.contextmanager
def _alone(job: Job) -> Iterator[None]:
    """One of this machine at a time; a file system that knows no locks is taken as it is."""
    with open(f"{job.marker}.lock", "w") as lock:
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    say(f"another install brings {job.model}: waiting for it")
                said = True
                job.check_time()
                time.sleep(0.5)
                continue
            except OSError:
                pass
            break
        yield
