"""Opens a shell on a node. What follows its key goes to ssh: a command, or options as -N -L 9090:localhost:9090."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from scripts.crossover.stack.engine import Stack, reading
from scripts.crossover.stack.ssh import login

CONTEXT_SETTINGS = {"ignore_unknown_options": True, "allow_extra_args": True}


def command(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="The node's key, or `gateway` for the first machine that carries one.")],
    stack: Stack,
) -> None:
    with reading():
        arguments = login(stack, node)
    try:
        os.execvp(arguments[0], [*arguments, *context.args])
    except FileNotFoundError:
        print("crossover: no `ssh` on this computer: install the OpenSSH client", file=sys.stderr)
        raise typer.Exit(1) from None
