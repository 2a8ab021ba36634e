"""What the hub's own client has left on the machine: a stack of before fetches nothing twice."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .job import Job
from .keep import digest_of
from .listing import Entry


def reuse(
    job: Job, entries: Iterable[Entry], passed: Callable[[int], None], done: Callable[[Entry, str], None]
) -> None:
    """Puts those files to their place that lie in an old cache and are right, by a hard link where that can be made;
    `done` gets each with its SHA-256."""
    for entry in entries:
        for old in _candidates(job, entry):
            digest = digest_of(old, entry, passed)
            if digest.right and (entry.sha256 or entry.git) and _take(old, Path(job.folder) / entry.path):
                done(entry, digest.sha256)
                break


def _candidates(job: Job, entry: Entry) -> Iterator[Path]:
    """Files of that size, by their real path: a cache's snapshots are links to its blobs."""
    offered = Path(job.offered) / entry.path
    if job.offered and offered.is_file() and offered.stat().st_size == entry.size:
        yield offered
    for cache in job.old_caches:
        model = Path(cache) / "hub" / f"models--{job.model.replace('/', '--')}"
        blobs = [model / "blobs" / entry.sha256] if entry.sha256 else []
        snapshots = sorted(model.glob("snapshots/*"))
        for place in (*blobs, *(snapshot / entry.path for snapshot in snapshots)):
            with contextlib.suppress(OSError):
                real = place.resolve(strict=True)
                if real.is_file() and real.stat().st_size == entry.size:
                    yield real


def _take(old: Path, file: Path) -> bool:
    """A copy only where no link can be made; False where there is no room for one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.link")
    try:
        try:
            os.link(old, draft)
        except OSError:
            shutil.copyfile(old, draft)
        draft.replace(file)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        return False
    return True
