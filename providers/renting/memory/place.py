"""Where this computer keeps what must outlive a run and stands in no state, and how it is written."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

FILE_BACKEND = "file://"
FOLDER = ".crossover"
"""Beside the engine's own `.pulumi`."""


def stack_folder(project: str, stack: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of one stack: beside a file backend's state (PULUMI_BACKEND_URL), so that it is lost with it or not at
    all; else in the user's state folder (the XDG base directory specification), one a backend: stacks of one name in
    two of them are two. Makes nothing."""
    backend = environment.get("PULUMI_BACKEND_URL", "")
    if backend.startswith(FILE_BACKEND):
        base = Path(unquote(backend.removeprefix(FILE_BACKEND).partition("?")[0])).expanduser() / FOLDER
    else:
        given = environment.get("XDG_STATE_HOME", "")
        home = Path(given) if Path(given).is_absolute() else Path("~/.local/state").expanduser()
        base = home / "crossover" / hashlib.sha256(backend.encode()).hexdigest()[:12]
    return base.absolute() / quote(project, safe="") / quote(stack.rpartition("/")[2], safe="")


def stacks_of(project: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The stacks of which anything is kept here, those too that there are no more. Raises OSError."""
    folder = stack_folder(project, "any", environment).parent
    return sorted(unquote(one.name) for one in folder.iterdir()) if folder.is_dir() else []


def private_folder(folder: Path) -> Path:
    """The folder, made with its parents if it is not there; what is made is its owner's alone. Raises OSError."""
    for part in (*reversed(folder.parents), folder):
        with suppress(FileExistsError):
            part.mkdir(mode=0o700)
    return folder


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, mode 0600, on the disk when this returns. Raises OSError."""
    private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """The folder's entries are on the disk too: a power cut after this loses none of them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
