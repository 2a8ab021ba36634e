"""`crossover prices`: the catalogue of the gate, shown with its ages, and renewed from live sources under review."""

from __future__ import annotations

import typer

from scripts.crossover.prices import refresh, show

app = typer.Typer(help="What the cost gate reckons with: shown, and renewed under review.", no_args_is_help=True)
app.command("show")(show.command)
app.command("refresh")(refresh.command)
