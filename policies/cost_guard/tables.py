"""Data files of the catalogue: TOML tables by key, each parsed into a row, or refused with file, line, row and key."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from .fields import Day
from .quantity import refuse, shown

HEADER = re.compile(r"""\s*\[\s*(?:"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<bare>[\w-]+))\s*\]""")


class CatalogueError(ValueError):
    """A data file of the catalogue cannot be read; the message names the file, the line, the row and the key."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refuse(f"must be a text that is not empty, got {shown(value)}")
    return value


Text = Annotated[str, BeforeValidator(_text)]


class Row(BaseModel):
    """What every row of every file says besides its figures."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    key: str
    """The name of its table."""
    date: Day
    """The day on which the figure was true."""
    source: Text
    """A URL or a citation."""
    note: str = ""


AnyRow = TypeVar("AnyRow", bound=Row)


def read_rows(path: Path, model: type[AnyRow]) -> dict[str, AnyRow]:
    """Every row by its key, in the file's order. Raises CatalogueError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path.name}: {error}") from error
    return parse_rows(text, path.name, model)


def parse_rows(text: str, file: str, model: type[AnyRow]) -> dict[str, AnyRow]:
    """The rows of a file's text; `file` is what messages call it. Raises CatalogueError."""
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{file}: {_syntax(text, str(error))}") from error
    return {key: _row(text, file, model, key, table) for key, table in tables.items()}


def _syntax(text: str, message: str) -> str:
    """The parser's words, with the row in which they apply: it gives no key for one that stands twice."""
    found = re.search(r"\(at line (\d+), column \d+\)", message)
    number = int(found.group(1)) if found else len(text.splitlines())
    above = [header for line in text.splitlines()[:number] if (header := _header(line))]
    row = f"{above[-1]}: " if above else ""
    return f"line {number}: {row}{message.partition(' (at ')[0]}"


def _header(line: str) -> str:
    found = HEADER.match(line)
    return next(filter(None, found.groups()), "") if found else ""


def _row(text: str, file: str, model: type[AnyRow], key: str, table: object) -> AnyRow:
    if not isinstance(table, dict):
        raise CatalogueError(f"{file}: line {line_of(text, '', key)}: {key}: must be a table, as in [{key!r}]")
    if "key" in table:
        line = line_of(text, key, "key")
        raise CatalogueError(f"{file}: line {line}: {key}: key: unknown key; the table's name is the key")
    try:
        return model.model_validate({**table, "key": key})
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        field = str(detail["loc"][0]) if detail["loc"] else ""
        where = f"{key}: {field}" if field and field != "key" else key
        message = _words(model, detail)
        raise CatalogueError(f"{file}: line {line_of(text, key, field)}: {where}: {message}") from None


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


def _words(model: type[Row], detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = [info.alias or name for name, info in model.model_fields.items() if name != "key"]
        near = get_close_matches(str(detail["loc"][-1]), known, n=1)
        return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known are {', '.join(known)}"
    if kind == "missing":
        return "missing; every row needs it"
    if kind == "literal_error":
        return f"must be {detail.get('ctx', {}).get('expected')}, got {shown(value)}"
    return detail["msg"].removeprefix("Value error, ")
