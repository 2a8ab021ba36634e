"""Where this computer remembers what the state may not know: the identity of a stack, beside its journal.

Beside the state where the backend is a folder; else in the user's own folder for state (XDG_STATE_HOME), one for each
backend, so that stacks of one name in two backends do not meet.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from images.sources import REPOSITORY

FILE = "file://"
STACK_IDS = "stack-ids"
STACK_ID = re.compile(r"[0-9a-f]{4,64}")


def folder(project: str, stack: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The stack's, which need not exist; None where this user has none (no HOME). Without PULUMI_BACKEND_URL the
    backend is this checkout's own, as in scripts/pulumi. `stack` is its plain name, without organization."""
    backend = environment.get("PULUMI_BACKEND_URL") or f"{FILE}{REPOSITORY}/.state/pulumi"
    try:
        if backend.startswith(FILE):
            beside = REPOSITORY / Path(backend.removeprefix(FILE)).expanduser()
            return beside / ".crossover" / project / stack
        given = environment.get("XDG_STATE_HOME", "")
        home = Path(given) if given.startswith("/") else Path("~/.local/state").expanduser()
    except RuntimeError:
        return None
    return home / "crossover" / hashlib.sha256(backend.encode()).hexdigest()[:12] / project / stack


def keep_stack_id(where: Path | None, stack_id: str) -> None:
    """Adds the identity to the copy, which keeps those of before: a machine may outlive the credentials that it was
    launched under. Raises OSError where it cannot be written."""
    known = stack_ids(where)
    if where is None or stack_id in known:
        return
    where.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = where / f".{STACK_IDS}.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text("".join(f"{one}\n" for one in (*known, stack_id)))
    draft.replace(where / STACK_IDS)


def stack_ids(where: Path | None) -> tuple[str, ...]:
    """The identities that the stack has had on this computer, the newest last; none where nothing can be read."""
    try:
        lines = (where / STACK_IDS).read_text().split() if where else []
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(line for line in lines if STACK_ID.fullmatch(line))
