"""Engine, system programs, credentials, capacity, live prices and the way to the clouds. Exits 1 if any fails."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from providers.preflight import Grade
from scripts.crossover.doctor.duds import duds_of
from scripts.crossover.doctor.looks import run
from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import console, emit_json, styled, table
from scripts.crossover.stack.engine import Stack

Forget = Annotated[bool, typer.Option("--forget", help="Lets what is left out, as it had a dud, be rented again.")]


def command(stack: Stack, as_json: AsJson = False, forget: Forget = False) -> None:
    if forget:
        for dud in duds_of(stack).forget():
            print(f"{dud.scope} may be rented again", file=sys.stderr)
    found = run(stack)
    if as_json:
        emit_json([asdict(check) for check in found])
    else:
        shown = table("", "check", "what was found")
        for check in found:
            detail = check.detail + (f"\n→ {check.remedy}" if check.remedy else "")
            shown.add_row(styled(check.level), check.name, detail)
        console().print(shown)
    raise typer.Exit(1 if any(check.level is Grade.FAIL for check in found) else 0)
