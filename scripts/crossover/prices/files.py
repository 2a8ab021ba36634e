"""Edits rows of the catalogue's files: comments and order stay, and a file is replaced whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

from scripts.crossover.prices.diff import RowChange
from strict.toml import AnyRow, parse_rows

PROVIDER = ("provider",)
SEEN = ("date", "source", "kind", "note", *PROVIDER)
"""What a price that was looked up again says anew, though it has not moved."""
OLD_WORDS = ("note", "usdPerMonth", *PROVIDER)
"""What was said of the old price and is not of the new one, unless it is told anew."""


def rewrite(path: Path, changes: Iterable[RowChange], model: type[AnyRow], header: str | None = None) -> bool:
    """Applies what is not refused; whether that changed the file. A given header replaces the comment above the first
    row. Raises CatalogueError, with the file untouched, where the outcome is no catalogue."""
    before = path.read_text("utf-8") if path.exists() else ""
    document = tomlkit.parse(before)
    taken = [change for change in changes if not change.refused]
    for change in taken:
        if change.new is None:
            del document[change.key]
        else:
            _fill(document, change)
    after = tomlkit.dumps(document)
    if header is not None and taken:
        after = f"{header}\n{_without_head(after)}"
    if after == before:
        return False
    parse_rows(after, path.name, model)
    replace(path, after)
    return True


def add(path: Path, key: str, fields: Mapping[str, Any], model: type[AnyRow]) -> None:
    """Adds one row, or puts its fields into the row of that key. Raises CatalogueError, with the file untouched."""
    document = tomlkit.parse(path.read_text("utf-8"))
    _put(document, key, fields, drop=OLD_WORDS)
    after = tomlkit.dumps(document)
    parse_rows(after, path.name, model)
    replace(path, after)


def shown(keys: Iterable[str], fields: Mapping[str, Any]) -> str:
    """The rows as they would stand in a file."""
    document = tomlkit.document()
    for key in keys:
        _put(document, key, fields, drop=())
    return tomlkit.dumps(document)


def replace(path: Path, text: str) -> None:
    """Writes beside the file, then takes its place: a reader sees the old file or the new one."""
    mode = path.stat().st_mode if path.exists() else 0o644
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, mode & 0o777)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _fill(document: tomlkit.TOMLDocument, change: RowChange) -> None:
    """A price that is as it was is only dated anew: what was noted of it still holds."""
    assert change.new is not None
    if change.state == "same":
        _put(
            document,
            change.key,
            {name: change.fields[name] for name in SEEN if name in change.fields},
            drop=PROVIDER,
        )
    else:
        vanished = set(change.old or {}) - set(change.new)
        _put(document, change.key, {**change.new, **change.fields}, {*OLD_WORDS, *vanished})


def _put(document: tomlkit.TOMLDocument, key: str, fields: Mapping[str, Any], drop: Iterable[str]) -> None:
    if key not in document:
        document.add(key, tomlkit.table())
        if len(document) > 1:
            document[key].trivia.indent = "\n"
    row = document[key]
    assert isinstance(row, Table)
    for name in drop:
        if name in row and fields.get(name) in ("", None):
            row.remove(name)
    for name, value in fields.items():
        if value not in ("", None):
            row[name] = tomlkit.value(f"{value:f}") if isinstance(value, Decimal) else value


def _without_head(text: str) -> str:
    lines = text.splitlines(keepends=True)
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        lines.pop(0)
    return "".join(lines)
