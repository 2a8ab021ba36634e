"""Files come over a network, several at a time: each into a part that is gone on with, and moved to its place once its
bytes are right."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Protocol

from .job import Job
from .keep import PIECE_BYTES, Digest, digest_of
from .listing import Entry, Listing
from .sources.web import PASSING, Cut, HttpRefusal, Patience
from .told import Refused, gib, say

TOLD_EVERY_S = 2.0
LEAST_BYTES_PER_S = 1024
"""Less than this for `stall_s` is a download that stands still."""
MOST_WRONG = 2
"""How often a file may come with wrong bytes before its source is at fault."""


class SourceOfFiles(Protocol):
    """Where files come from."""

    def listing(self) -> Listing: ...

    def check(self) -> None: ...

    def open(self, entry: Entry, revision: str, start: int) -> http.client.HTTPResponse: ...

    def refusal(self, e: HttpRefusal) -> Refused: ...


@dataclass
class Tally:
    """How far it is, for all files together. Tells it every few seconds while it is entered."""

    verb: str
    all_bytes: int
    done_bytes: int = 0
    fetched_bytes: int = 0
    """Of these, what came over the network in this run."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _teller: threading.Thread | None = None

    def __enter__(self) -> Tally:
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._teller is not None:
            self._teller.join()

    def add(self, count: int, *, fetched: bool = False) -> None:
        """Bytes more; less than none where they were for nothing."""
        with self._lock:
            self.done_bytes += count
            self.fetched_bytes += count if fetched else 0

    def _tell(self) -> None:
        before, at = self.done_bytes, time.monotonic()
        while not self._over.wait(TOLD_EVERY_S):
            now, done = time.monotonic(), self.done_bytes
            rate, before, at = max(0.0, (done - before) / (now - at)), done, now
            left = f", {_span((self.all_bytes - done) / rate)} left" if rate > 0 else ""
            say(f"{self.verb}: {gib(done)} of {gib(self.all_bytes)}, {rate / 2**20:.0f} MiB/s{left}")


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def part_of(file: Path) -> Path:
    """Where a file grows; a name of this machine's own, because the folder may be several machines'."""
    machine = hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]
    return file.with_name(f".{file.name}.{machine}.part")


def fetch_all(
    source: SourceOfFiles,
    job: Job,
    entries: Iterable[Entry],
    revision: str,
    tally: Tally,
    done: Callable[[Entry, str], None],
) -> None:
    """Fetches each file to its place; `done` gets it with its SHA-256. The first refusal ends the others. Raises
    Refused."""
    stop = threading.Event()

    def one(entry: Entry) -> None:
        try:
            done(entry, _Growing(source, job, entry, revision, tally, stop).fetch())
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(job.workers) as pool:
        # The largest first, so that none of them is left for the end.
        running = [pool.submit(one, entry) for entry in sorted(entries, key=lambda e: -e.size)]
        failures = [e for future in running if (e := future.exception()) is not None]
    for failure in sorted(failures, key=lambda e: isinstance(e, _Stopped)):
        raise failure


class _Stopped(Refused):
    """Another file was refused."""


@dataclass
class _Growing:
    """One file under way."""

    source: SourceOfFiles
    job: Job
    entry: Entry
    revision: str
    tally: Tally
    stop: threading.Event

    def fetch(self) -> str:
        """Its SHA-256, once it stands in its place. Raises Refused."""
        file = Path(self.job.folder) / self.entry.path
        part = part_of(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(MOST_WRONG):
            digest = self._complete(part)
            if digest.right:
                part.replace(file)
                return digest.sha256
            self.tally.add(-digest.size)
            part.unlink()
        raise Refused(
            "wrong",
            f"{self.entry.path} came {MOST_WRONG} times with bytes that are not those of "
            f"{'its record' if self.job.record else 'its listing'} (SHA-256 {digest.sha256}): {self.job.place} does "
            "not hold what it should, or something on the way changes it",
        )

    def _complete(self, part: Path) -> Digest:
        """The hashes of all its bytes, whether right or not; what an earlier run left is gone on with."""
        digest = self._begun(part)
        patience = Patience(self.job.pause_s, self._check)
        with part.open("ab", buffering=0) as out:
            while digest.size < self.entry.size:
                before = digest.size
                try:
                    digest = self._more(out, digest)
                except (Cut, HttpRefusal) as e:
                    if isinstance(e, HttpRefusal) and e.status not in PASSING:
                        raise self.source.refusal(e) from e
                    patience.failed(e, progressed=digest.size > before)
            os.fsync(out.fileno())
        return digest

    def _begun(self, part: Path) -> Digest:
        if part.exists() and part.stat().st_size <= self.entry.size:
            return digest_of(part, self.entry, self._counted)
        part.unlink(missing_ok=True)
        return Digest(self.entry)

    def _counted(self, count: int) -> None:
        self._check()
        self.tally.add(count)

    def _more(self, out: FileIO, digest: Digest) -> Digest:
        """Feeds what the source gives in one go. A source that cannot begin in the middle begins anew: the digest is
        then another one. Raises HttpRefusal, Cut."""
        with self.source.open(self.entry, self.revision, digest.size) as answer:
            if digest.size and answer.status != http.client.PARTIAL_CONTENT:
                self.tally.add(-digest.size)
                out.truncate(0)
                digest = Digest(self.entry)
            watch, since = digest.size, time.monotonic()
            while digest.size < self.entry.size:
                self._check()
                try:
                    piece = answer.read1(min(PIECE_BYTES, self.entry.size - digest.size))
                except (OSError, http.client.HTTPException) as e:
                    why = str(e) or type(e).__name__
                    raise Cut(f"{self.entry.path} broke off after {gib(digest.size)}: {why}") from e
                if not piece:
                    raise Cut(f"{self.entry.path} broke off after {gib(digest.size)}")
                self._keep(out, piece)
                digest.feed(piece)
                now = time.monotonic()
                if now - since > self.job.stall_s:
                    if digest.size - watch < LEAST_BYTES_PER_S * self.job.stall_s:
                        raise Cut(f"{self.entry.path} stood still at {gib(digest.size)} for {self.job.stall_s:g} s")
                    watch, since = digest.size, now
        return digest

    def _keep(self, out: FileIO, piece: bytes) -> None:
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[out.write(rest) :]
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Refused("full", f"{self.job.folder}: no room for {self.entry.path}: {e.strerror}") from e
            raise
        self.tally.add(len(piece), fetched=True)

    def _check(self) -> None:
        if self.stop.is_set():
            raise _Stopped("busy", "another file was refused")
        self.job.check_time()
