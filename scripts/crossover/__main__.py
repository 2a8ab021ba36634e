"""`crossover`: each command is a module with a function `command`, registered by one line here.

Exit codes: 0 fine, 2 the gate blocks, 3 cannot evaluate, 4 a warning under --strict, 1 a wrong call or a failed tool.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from scripts.crossover.commands import (
    bench,
    claims,
    doctor,
    endpoint,
    nodes,
    offers,
    orphans,
    preview,
    prices,
    reconcile,
    smoke,
    ssh,
    waivers,
)
from scripts.crossover.commands.plan import command as plan
from scripts.crossover.commands.usage import app as usage


class _Group(TyperGroup):
    """Usage errors exit 1: the usual 2 would read as BLOCK in a pipeline."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().make_context(*args, **kwargs)
        except typer.TyperException as error:
            error.exit_code = 1
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            error.exit_code = 1
            raise


app = typer.Typer(
    name="crossover",
    help="Self-hosted LLM inference that must pay for itself.",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("bench")(bench.command)
app.command("claims")(claims.command)
app.command("plan")(plan)
app.command("doctor")(doctor.command)
app.command("endpoint")(endpoint.command)
app.command("nodes")(nodes.command)
app.command("offers")(offers.command)
app.command("orphans")(orphans.command)
app.command("preview")(preview.command)
app.command("reconcile")(reconcile.command)
app.command("smoke")(smoke.command)
app.command("ssh", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(ssh.command)
app.add_typer(prices.app, name="prices")
app.add_typer(usage, name="usage")
app.add_typer(waivers.app, name="waivers")


def main() -> None:
    """The entry point of the installed command."""
    app(prog_name="crossover")


if __name__ == "__main__":
    main()
