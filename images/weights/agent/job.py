"""The job: which files, from where, to where."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from .told import Refused


@dataclass(frozen=True)
class Job:
    """One model's files on this machine."""

    kind: str
    """"hf", "s3" or "path"."""
    place: str
    """The hub's name of the repository, `s3://bucket/folder`, or the absolute path."""
    model: str
    revision: str
    folder: str
    """Where the files come to lie; for "path", where they lie."""
    marker: str
    """The file that says that they are there."""
    endpoint: str = ""
    region: str = ""
    secret_file: str = ""
    """Holds what opens the source; empty: nothing has to."""
    old_secret_file: str = ""
    """Where the hub's own client keeps its token; taken where there is no secret, and this is there."""
    record: Mapping[str, Mapping[str, object]] | None = None
    """What the files must be: path → {"size", "sha256"}."""
    record_revision: str = ""
    """The commit that the record is of."""
    offered: str = ""
    """A folder with copies of another machine's files, of which those are taken whose hash is right; it is gone
    afterwards."""
    unverified: bool = False
    stall_s: float = 120
    deadline_s: float = 4 * 3600
    old_caches: tuple[str, ...] = ()
    """Folders of the hub's own client, whose files are taken where they fit."""
    gives: bool = False
    """Tells what there is and what has come, for those who copy it meanwhile: lines {"files": {path: size}} and
    {"has": path}."""
    look: bool = False
    """Says what is there and what is missing, and changes nothing."""
    again: bool = False
    """Reads all files anew, whatever the marker says."""
    workers: int = 8
    margin_bytes: int = 1 << 30
    """Kept free beyond the files."""
    pause_s: float = 1.0
    """Before the first repetition; twice as long each time."""
    role_endpoint: str = "http://169.254.169.254"
    """Where the machine's role is asked for (AWS' instance metadata)."""
    ends_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends_at", time.monotonic() + self.deadline_s)

    @classmethod
    def parse(cls, text: str) -> Job:
        """Raises ValueError for what is no job."""
        given = json.loads(text)
        known = {f.name for f in fields(cls) if f.init}
        if not isinstance(given, dict) or set(given) - known:
            raise ValueError(f"no job: {text[:200]}")
        given["old_caches"] = tuple(given.get("old_caches", ()))
        return cls(**given)

    @property
    def secret(self) -> str:
        """What opens the source; empty where nothing does. Raises Refused."""
        old = self.old_secret_file if self.old_secret_file and Path(self.old_secret_file).is_file() else ""
        if not (self.secret_file or old):
            return ""
        try:
            return Path(self.secret_file or old).read_text().strip()
        except OSError as e:
            raise Refused("permission", f"{self.secret_file}, which opens the weights, cannot be read: {e}") from e

    def check_time(self) -> None:
        """Raises Refused once the deadline is over."""
        if time.monotonic() > self.ends_at:
            raise Refused(
                "deadline",
                f"the weights of {self.model} are not there within {self.deadline_s:g} s; what is there is kept, and "
                "the next run goes on. Raise serving.weights.deadlineS where the way is slow",
            )
