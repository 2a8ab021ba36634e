"""The day that a command judges by: `--today`, else CROSSOVER_TODAY, else the clock's."""

from __future__ import annotations

from datetime import date, tzinfo
from typing import Annotated

import typer

from scripts.crossover.shell.output import fail
from strict.day import today
from strict.problems import Problems

Today = Annotated[
    str | None,
    typer.Option("--today", metavar="YYYY-MM-DD", help="The day to judge by; by default CROSSOVER_TODAY, else today."),
]


def day(given: str | None, zone: tzinfo | None = None) -> date:
    """That day, by the clock in `zone` or this computer's. What is no date ends the command with exit code 1."""
    try:
        return today(zone) if given is None else date.fromisoformat(given)
    except Problems as error:
        fail(error)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is no date as YYYY-MM-DD", param_hint="--today") from None
