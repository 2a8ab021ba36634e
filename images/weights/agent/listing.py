"""What the files of a model are: path, size, hash; and which of a repository's files an engine reads."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .told import Refused

DOUBLES = ("*.pth", "*.pt", "*.bin", "*.gguf", "*.h5", "*.msgpack", "*.onnx", "*.onnx_data", "*.tflite", "*.ot")
"""The same weights in other forms, of which the safetensors are read."""
ASIDE = (
    "original/*",
    "metal/*",
    "onnx/*",
    "openvino/*",
    "figures/*",
    "assets/*",
    ".*",
    "*/.*",
    "*.md",
    "*.pdf",
    "*.png",
)
"""What no engine reads. Llama's `original/` and gpt-oss' `metal/` hold all weights once more."""

_PATH = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[^\x00-\x1f\\/]+(?:/[^\x00-\x1f\\/]+)*")


_LONGEST_NAME_BYTES = 255 - len("..01234567.part")


def _can_be_named(path: str) -> bool:
    """Whether a file system takes its names, and those of its parts."""
    try:
        return all(len(name.encode()) <= _LONGEST_NAME_BYTES for name in path.split("/"))
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True)
class Entry:
    """One file. Without a hash its size alone is known."""

    path: str
    """Below the folder."""
    size: int
    sha256: str = ""
    git: str = ""
    """SHA-1 of the file as a blob of Git: what the hub tells of a small file."""

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path) or self.size < 0 or not _can_be_named(self.path):
            raise Refused("source", f"{self.path!r} with {self.size} bytes is no file that could be kept")


@dataclass(frozen=True)
class Listing:
    """All files of a revision."""

    revision: str
    """The commit where the source knows commits."""
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(entry.size for entry in self.entries)


def chosen(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Those that an engine reads, by path."""
    kept = [entry for entry in entries if not _matches(entry.path, ASIDE)]
    tensors = [entry.path for entry in kept if entry.path.endswith(".safetensors")]
    if tensors:
        kept = [entry for entry in kept if not _matches(entry.path, DOUBLES)]
    if any(path.startswith("model") for path in tensors):  # Mistral's repositories hold them under both names
        kept = [entry for entry in kept if not fnmatchcase(entry.path, "consolidated*.safetensors")]
    return tuple(sorted(kept, key=lambda entry: entry.path))


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def of_record(record: Mapping[str, Mapping[str, object]], revision: str) -> Listing:
    """The listing that a record stands for. Raises Refused for what is none."""
    entries = []
    for path, known in record.items():
        size, digest = known.get("size"), known.get("sha256")
        if not isinstance(size, int) or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise Refused("source", f"the record of {path} holds no size and SHA-256")
        entries.append(Entry(path, size, digest))
    return Listing(revision, tuple(sorted(entries, key=lambda entry: entry.path)))


def identity(*words: object) -> str:
    """A short name of what was asked for: equal words, equal name."""
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
