"""How commands speak: one JSON document, or tables that are coloured on a terminal and readable at 80 columns."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cost_guard.codes import CANNOT_EVALUATE
from strict.problems import Problems

STYLES = {
    "PASS": "bold green",
    "WARN": "bold yellow",
    "BLOCK": "bold red",
    "FAIL": "bold red",
    "ok": "green",
    "warn": "bold yellow",
    "fail": "bold red",
    "reproduces": "green",
    "reproduces-if": "yellow",
    "contradicts": "red",
    "quoted": "dim",
    "unverifiable": "dim",
    "WAIVED": "bold magenta",
    "valid": "green",
    "not begun": "dim",
    "expired": "bold red",
    "void": "bold red",
}


def console() -> Console:
    """Standard output: colour only on a terminal, no guessing at numbers."""
    return Console(highlight=False, soft_wrap=False)


def styled(word: str, shown: str | None = None) -> Text:
    """A verdict, level or status in its colour; or another word in that colour."""
    return Text(word if shown is None else shown, style=STYLES.get(word, ""))


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table: a header, no box, nothing cut off."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def right_aligned(made: Table, *columns: str) -> None:
    """Numbers stand under one another."""
    for column in made.columns:
        if column.header in columns:
            column.justify = "right"


def emit_json(document: Any) -> None:
    """The one document on standard output."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def fail(message: object) -> NoReturn:
    """Ends with exit code 1, and says why on standard error."""
    print(f"crossover: {message}", file=sys.stderr)
    raise typer.Exit(1)


@contextmanager
def failing(*errors: type[Exception]) -> Iterator[None]:
    """Such an error ends the command with exit code 1 and its message, not with a traceback."""
    try:
        yield
    except errors as error:
        fail(error)


@contextmanager
def evaluating(as_json: bool) -> Iterator[None]:
    """What is given and cannot be used ends the command with exit code 3; what is to be mended is told on standard
    error, or as the JSON document."""
    try:
        yield
    except Problems as error:
        _cannot_evaluate(error.lines, as_json)


def _cannot_evaluate(lines: Sequence[str], as_json: bool) -> NoReturn:
    if as_json:
        emit_json({"verdict": None, "reasons": [], "errors": list(lines)})
    else:
        for line in lines:
            print(f"cannot evaluate: {line}", file=sys.stderr)
    raise typer.Exit(CANNOT_EVALUATE)
