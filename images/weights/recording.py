"""The hub asked from here, not from a machine: what a revision's files are, and whether a token may read them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from images.weights.agent.job import Job
from images.weights.agent.keep import Digest
from images.weights.agent.listing import Entry
from images.weights.agent.sources.hub import Hub
from images.weights.agent.sources.web import Cut, HttpRefusal
from images.weights.agent.told import Refused

ANSWER_S = 30.0
"""How long the hub may say nothing."""


def record(model: str, revision: str, token: str = "", endpoint: str = "") -> dict[str, Any]:
    """The record of a revision, under its commit. Small files are read: the hub tells no SHA-256 of them. Raises
    Refused."""
    with _asked(model, revision, token, endpoint) as hub:
        listing = hub.listing()
        hub.check()
        files = {
            entry.path: {"size": entry.size, "sha256": entry.sha256 or _read(hub, entry, listing.revision)}
            for entry in listing.entries
        }
    return {"model": model, "revision": listing.revision, "files": files}


def readable(model: str, revision: str, token: str = "", endpoint: str = "") -> int:
    """The bytes of a revision's files, if the token may read them. Raises Refused, with the reason and what to do."""
    with _asked(model, revision, token, endpoint) as hub:
        listing = hub.listing()
        hub.check()
    return listing.size


@contextmanager
def _asked(model: str, revision: str, token: str, endpoint: str) -> Iterator[Hub]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "token"
        file.touch(0o600)
        file.write_text(token)
        job = Job(
            "hf", model, model, revision, folder, f"{folder}/marker", endpoint, secret_file=str(file) if token else "",
            stall_s=ANSWER_S, deadline_s=10 * ANSWER_S, pause_s=0.1,
        )  # fmt: skip
        yield Hub(job)


def _read(hub: Hub, entry: Entry, revision: str) -> str:
    """The SHA-256 of a small file, whose bytes are the listing's."""
    digest = Digest(entry)
    try:
        with hub.open(entry, revision, 0) as answer:
            content = answer.read(entry.size + 1)
    except HttpRefusal as e:
        raise hub.refusal(e) from e
    except (Cut, OSError) as e:
        raise Refused("network", f"{entry.path}: {e}") from e
    digest.feed(content)
    if not digest.right:
        raise Refused("wrong", f"{entry.path} came with bytes that are not those of the hub's listing")
    return hashlib.sha256(content).hexdigest()
