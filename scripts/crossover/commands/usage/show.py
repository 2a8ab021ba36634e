"""The numbers of a usage file. Exits 3 where it cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cost_guard.scenario.documents import usage_in
from scripts.crossover.shell.output import evaluating
from scripts.crossover.usage.shown import show


def command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The usage file.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    with evaluating(as_json):
        usage = usage_in(file)
    show(usage, (), as_json)
