"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cost_guard.catalogue import catalogue

DATA = catalogue.DATA

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 4 on a warning.")]
Folder = Annotated[
    Path, typer.Option("--data", exists=True, file_okay=False, help="The folder of the catalogue, where it is a copy.")
]
