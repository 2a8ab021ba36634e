"""Data files of the catalogue: TOML tables by key, each parsed into a row, or refused with file, line, row and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ValidationError

from strict.conflict import WORDS, conflict_line
from strict.fields import Day, Given, Section, Text
from strict.places import key_of, told
from strict.problems import UNKNOWN, Problems, problems

HEADER = re.compile(r"""\s*\[\s*(?:"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<bare>[\w-]+))\s*\]""")


class CatalogueError(Problems):
    """A data file of the catalogue cannot be read; the message names the file, the line, the row and the key."""


class Row(Section):
    """What every row of every file says besides its figures."""

    key: Annotated[str, Given()]
    """The name of its table."""
    date: Day
    """The day on which the figure was true."""
    source: Text
    """A URL or a citation."""
    note: str = ""


AnyRow = TypeVar("AnyRow", bound=BaseModel)
"""A Row, or what has a `key` too."""


def read_rows(path: Path, model: type[AnyRow]) -> dict[str, AnyRow]:
    """Every row by its key, in the file's order. Raises CatalogueError."""
    return parse_rows(read(path), path.name, model)


def read(path: Path) -> str:
    """The file's text. Raises CatalogueError."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path.name}: cannot be read: {error}") from error


def parse_rows(text: str, file: str, model: type[AnyRow]) -> dict[str, AnyRow]:
    """The rows of a file's text; `file` is what messages call it. Raises CatalogueError."""
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(_syntax(text, file, str(error))) from None
    return {key: _row(text, file, model, key, table) for key, table in tables.items()}


def _syntax(text: str, file: str, message: str) -> str:
    """The parser's words, with the row in which they apply: it gives no key for one that stands twice."""
    if (merging := conflict_line(text)) is not None:
        return told(file, merging, "", WORDS)
    found = re.search(r"\(at line (\d+), column \d+\)", message)
    number = int(found.group(1)) if found else len(text.splitlines())
    above = [header for line in text.splitlines()[:number] if (header := _header(line))]
    return told(file, number, above[-1] if above else "", f"not TOML: {message.partition(' (at ')[0]}")


def _header(line: str) -> str:
    found = HEADER.match(line)
    return next(filter(None, found.groups()), "") if found else ""


def _row(text: str, file: str, model: type[AnyRow], key: str, table: object) -> AnyRow:
    if not isinstance(table, dict):
        raise CatalogueError(told(file, line_of(text, "", key), key, f"must be a table, as in [{key!r}]"))
    if "key" in table:
        raise wrong(text, file, (key, "key"), "unknown key; the table's name is the key")
    try:
        return model.model_validate({**table, "key": key}, by_name=False)
    except ValidationError as error:
        found = problems(model, error)
        # A misspelt key first: what the row lacks may follow from it.
        first = min(found, key=lambda one: not one.words.startswith(UNKNOWN))
        raise wrong(text, file, (key, *(part for part in first.place if part != "key")), first.words) from None


def wrong(text: str, file: str, place: Sequence[str | int], words: str) -> CatalogueError:
    """What is wrong in a row, or in one of its fields: `place` is its key, and what leads to the field."""
    key, field = str(place[0]), str(place[1]) if len(place) > 1 else ""
    return CatalogueError(told(file, line_of(text, key, field), key_of(place), words))


def line_of(text: str, key: str, field: str = "") -> int:
    """The line, from 1, where a row's field stands, or else the row; 1 where neither does."""
    row, at = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := _header(line):
            row = header
            at = number if row == key else at
        elif row == key and field and re.match(rf"\s*\"?{re.escape(field)}\"?\s*=", line):
            return number
    return at
