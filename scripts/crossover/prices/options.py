"""Options that the commands around the catalogue share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cost_guard.catalogue import catalogue as prices

Folder = Annotated[
    Path, typer.Option("--data", exists=True, file_okay=False, help="The folder of the catalogue, where it is a copy.")
]
DATA = prices.DATA
