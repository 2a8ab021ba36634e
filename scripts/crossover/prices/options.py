"""Options that the commands around the catalogue share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from cost_guard import prices

Today = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The day to judge by; by default today.")]
Folder = Annotated[
    Path, typer.Option("--data", exists=True, file_okay=False, help="The folder of the catalogue, where it is a copy.")
]
DATA = prices.DATA


def day(given: str | None) -> date:
    """The day that was given, or the clock's."""
    if given is None:
        return date.today()
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is no date as YYYY-MM-DD", param_hint="--today") from None
