"""A machine of the fleet that gives what it has of the weights, over SSH and for one folder alone."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from images.remote.connection import Connection
from images.remote.errors import CommandFailed, RemoteError
from images.remote.host import Host
from images.remote.scripts import require
from images.remote.waiting import Waiting
from images.weights.agent.listing import Entry, of_record
from images.weights.agent.told import Refused
from images.weights.onto import SCRIPTS

Piece = tuple[str, ...]
"""Paths of files that are copied in one go."""
Files = Mapping[str, Any]
"""Path → {"size", …}, as a marker has them."""
_LOOK_S = 60.0


@dataclass(slots=True, eq=False)
class Holder:
    """While somebody copies, it lets a key of this run in, for that alone."""

    host: Host
    ssh_private_key: str
    job: Mapping[str, Any]
    """`folder` is where its files are, `marker` where it is said what they are."""
    has: set[Piece] | None = None
    """What has come so far, of a machine that fetches or copies itself; None: all, verified."""
    copying: int = 0
    """How many copy from it now. Guarded by its group."""
    files: Files = field(default_factory=dict)
    """What it has, once somebody was let in; of one that has all."""
    key: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    _guests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def open(self, watch: Waiting) -> Iterator[None]:
        """Let in from the first guest to the last. Raises RemoteError."""
        with watch.turn(self._lock):
            if self._guests == 0:
                self._let_in(watch)
            self._guests += 1
        try:
            yield
        finally:
            with self._lock:
                self._guests -= 1
                if self._guests == 0:
                    self._shut()

    def _let_in(self, watch: Waiting) -> None:
        pair = Ed25519PrivateKey.generate()
        self.key = pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        public = pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        marker = self.job["marker"] if self.has is None else "/dev/null"
        with Connection.open(self.host, self.ssh_private_key, cancelled=watch.cancelled) as connection:
            said = SCRIPTS.run(
                connection,
                "share",
                args=[self.job["folder"], marker, self.run],
                stdin=public + b"\n",
                watch=watch.within(_LOOK_S),
                step="letting the others copy",
            )
        told = require(said, f"{self.host.where} does not share its weights").stdout
        if self.has is None:
            self.files = files_of(told, self.host.where)

    def _shut(self) -> None:
        """What fails here is made good by the next run, or by the day after."""
        try:
            with Connection.open(self.host, self.ssh_private_key) as connection:
                step = "ending the others' copies"
                SCRIPTS.run(connection, "unshare", args=[self.run], watch=Waiting(_LOOK_S), step=step)
        except RemoteError:
            return


def listed(sizes: Mapping[str, int], where: str) -> Files:
    """What a machine says that it fetches; as `files_of`."""
    try:
        return {Entry(path, size).path: {"size": size} for path, size in sizes.items()}
    except (TypeError, AttributeError, Refused) as e:
        raise CommandFailed(f"{where} does not say what it fetches: {e!r}") from e


def files_of(marker: str, where: str) -> Files:
    """What a machine's marker says. It may have been cut, and the machine broken into: the paths go to another one.
    Raises CommandFailed."""
    try:
        told: dict[str, Any] = json.loads(marker)
        verified, revision, files = told["verified"], told["revision"], told["files"]
        of_record(files, str(revision))
    except (ValueError, LookupError, TypeError, AttributeError, Refused) as e:
        raise CommandFailed(f"{where} does not say what its weights are: {e!r}") from e
    if not verified:
        raise CommandFailed(f"nobody has verified the weights of {where}")
    found: Files = files
    return found
