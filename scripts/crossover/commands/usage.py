"""The group of commands `crossover usage`."""

from __future__ import annotations

import typer

from scripts.crossover.usage import importing, show

app = typer.Typer(help="Measured token volume: import exports, show the usage file.", no_args_is_help=True)
app.command("import")(importing.command)
app.command("show")(show.command)
