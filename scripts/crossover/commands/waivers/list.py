"""Shows the waivers, those that expire first at the top. Exits 0, or 3 where the file cannot be used."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import AsJson
from scripts.crossover.stack.waivers import File, show


def command(
    file: File = None,
    stack: Annotated[str | None, typer.Option("--stack", "-s", help="Only those that cover this stack.")] = None,
    today: Today = None,
    as_json: AsJson = False,
) -> None:
    show(file, day(today), as_json, stack)
