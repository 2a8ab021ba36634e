"""Puts a state that can be read in the place of one that a full disk or a power cut left in pieces.

Usage: python -m scripts.mend BACKEND_FOLDER STACK. The pieces are kept beside it. Exit 1 where no backup can be read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

_VERSION = re.compile(rb"(?m)^version: *\d+\s*\Z")


class NoBackup(Exception):
    """The state is damaged, and so is all that it could be mended from. The message says what to do."""


def mend(backend: Path, stack: str) -> list[str]:
    """What was done, a line for each damaged file; empty where all can be read. Raises NoBackup."""
    meta = backend / ".pulumi/meta.yaml"
    states = sorted(backend.glob(f".pulumi/stacks/*/{stack}.json"))
    return [
        *(_without_attributes(file) for file in (meta, *states) if not _has_whole_attributes(file)),
        *([_without_meta(meta)] if meta.exists() and not _VERSION.search(meta.read_bytes()) else []),
        *(_mend(backend, file.parent.name, stack, file) for file in states if written_at(file) is None),
    ]


def written_at(file: Path) -> str | None:
    """When the engine wrote this checkpoint, RFC 3339 in UTC; "" where it holds no resource yet; None where it cannot
    be read, or is none."""
    try:
        checkpoint = json.loads(file.read_text("utf-8"))["checkpoint"]
        latest = checkpoint.get("latest") or {}
        return str((latest.get("manifest") or {}).get("time", ""))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def backups(backend: Path, project: str, stack: str) -> list[Path]:
    """All that the engine keeps of older states, readable or not (pkg/v3 backend/diy/state.go)."""
    folder = backend / ".pulumi"
    return [
        folder / "stacks" / project / f"{stack}.json.bak",
        *folder.glob(f"backups/{project}/{stack}/{stack}.*.json"),
        *folder.glob(f"history/{project}/{stack}/{stack}-*.checkpoint.json"),
    ]


def _mend(backend: Path, project: str, stack: str, file: Path) -> str:
    readable = {found: time for found in backups(backend, project, stack) if (time := written_at(found)) is not None}
    if not readable:
        raise NoBackup(
            f"{file} cannot be read, and neither can any backup of it. `crossover orphans` shows the machines "
            "that carry the stack's mark, and with what --stack-id --terminate ends them; or end them in the consoles "
            f"of the clouds. Then `mv {file} {file}.damaged`, and scripts/up begins anew"
        )
    newest = max(readable, key=lambda found: (readable[found], found.name.endswith(".bak"), found.name))
    kept = _free_name(file)
    draft = file.with_name(f".{file.name}.draft")
    shutil.copyfile(newest, draft)
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    os.link(file, kept)
    os.replace(draft, file)
    when = f"of {readable[newest]}" if readable[newest] else "without resources"
    return f"the state of {stack} could not be read (kept as {kept.name}): put back {newest.name} {when}"


def _attributes(file: Path) -> Path:
    """What the engine's store keeps beside each file: its type and MD5 (gocloud.dev/blob/fileblob). It needs none, and
    reads no file that has broken ones."""
    return file.with_name(f"{file.name}.attrs")


def _has_whole_attributes(file: Path) -> bool:
    try:
        return isinstance(json.loads(_attributes(file).read_text("utf-8")), dict)
    except FileNotFoundError:
        return True
    except (ValueError, RecursionError):
        return False


def _without_attributes(file: Path) -> str:
    _attributes(file).unlink()
    return f"{_attributes(file).name} could not be read, and is not needed: taken away"


def _without_meta(file: Path) -> str:
    """The engine writes it anew, as the folder is laid out."""
    kept = _free_name(file)
    file.rename(kept)
    return f"{file.name} could not be read (kept as {kept.name}): the engine writes it anew"


def _free_name(file: Path) -> Path:
    """A name that the engine takes for no state."""
    names = (file.with_name(f"{file.stem}.damaged-{number}") for number in range(1, 10_000))
    return next(name for name in names if not name.exists())


def main(arguments: list[str]) -> int:
    backend, stack = arguments
    try:
        for line in mend(Path(backend), stack):
            print(f"==> {line}")
    except (NoBackup, OSError) as e:
        print(f"scripts/recover: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
