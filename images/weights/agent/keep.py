"""What stands on the disk: hashes of files, and the marker that says that all are there and right.

A file whose size and time of change are those of the marker has the marker's hash, and is not read again. The marker
is written last, once every file is on the disk, and says `verified` only where a hash of each was compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .listing import Entry

PIECE_BYTES = 1 << 20


class Digest:
    """Hashes of a file's bytes as they pass: SHA-256, and what Git calls a blob of that size."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False) if entry.git else None
        self.size = 0

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        self.size += len(piece)
        self._sha256.update(piece)
        if self._git is not None:
            self._git.update(piece)

    @property
    def sha256(self) -> str:
        """Of what was fed, hex."""
        return self._sha256.hexdigest()

    @property
    def right(self) -> bool:
        """Whether these are the file's bytes, as far as is known of them."""
        entry = self._entry
        if self.size != entry.size or (entry.sha256 and self.sha256 != entry.sha256):
            return False
        return self._git is None or self._git.hexdigest() == entry.git


@dataclass
class Marker:
    """The file beside a model's folder that says what is in it."""

    path: Path
    want: str = ""
    """`listing.identity` of what was asked for."""
    revision: str = ""
    verified: bool = False
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Path → {"size", "mtime_ns", "sha256"}."""

    @classmethod
    def read(cls, path: Path) -> Marker:
        """An empty one where there is none that can be read."""
        try:
            told = json.loads(path.read_text())
            return cls(path, told["want"], told["revision"], told["verified"], dict(told["files"]))
        except (OSError, ValueError, LookupError, TypeError):
            return cls(path)

    def write(self) -> None:
        """All or nothing, and on the disk afterwards."""
        told = {"want": self.want, "revision": self.revision, "verified": self.verified, "files": self.files}
        draft = self.path.with_suffix(f".{os.getpid()}.new")
        with draft.open("w") as file:
            json.dump(told, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def remove(self) -> None:
        """Nothing is promised any more."""
        self.want = ""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def holds(self, folder: Path) -> bool:
        """Whether each of its files is there and was not touched since."""
        return bool(self.files) and all(self._untouched(folder, path) for path in self.files)

    def known(self, folder: Path, path: str) -> str:
        """The SHA-256 of a file that was not touched since; empty where that cannot be said."""
        return str(self.files[path]["sha256"]) if self._untouched(folder, path) else ""

    def _untouched(self, folder: Path, path: str) -> bool:
        """Whatever is known of its bytes: of a file that was taken as it is, nothing."""
        kept = self.files.get(path)
        try:
            now = (folder / path).stat()
        except OSError:
            return False
        return kept is not None and (now.st_size, now.st_mtime_ns) == (kept["size"], kept["mtime_ns"])

    def add(self, folder: Path, path: str, sha256: str) -> None:
        """A file whose hash is known, as it stands there."""
        now = (folder / path).stat()
        self.files[path] = {"size": now.st_size, "mtime_ns": now.st_mtime_ns, "sha256": sha256}

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(int(file["size"]) for file in self.files.values())


def digest_of(path: Path, entry: Entry, passed: Callable[[int], None]) -> Digest:
    """The hashes of what stands there; `passed` gets the bytes as they are read, and may raise. Raises OSError."""
    digest = Digest(entry)
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            digest.feed(piece)
            passed(len(piece))
    return digest


def right_ones(
    folder: Path, entries: Mapping[str, Entry], marker: Marker, workers: int, passed: Callable[[int], None]
) -> dict[str, str]:
    """Path → SHA-256 of those files that are there and right. A hash that the marker knows is not reckoned again."""

    def look(entry: Entry) -> str:
        file = folder / entry.path
        if not file.is_file() or file.stat().st_size != entry.size:
            return ""
        known = marker.known(folder, entry.path)
        if known and (known == entry.sha256 or not (entry.sha256 or entry.git)):
            passed(entry.size)
            return known
        digest = digest_of(file, entry, passed)
        return digest.sha256 if digest.right else ""

    with ThreadPoolExecutor(workers) as pool:
        found = dict(zip(entries, pool.map(look, entries.values()), strict=True))
    return {path: sha256 for path, sha256 in found.items() if sha256}
