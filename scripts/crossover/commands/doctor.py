"""Engine, system programs, credentials, capacity, live prices and the way to the clouds. Exits 1 if any fails."""

from __future__ import annotations

from dataclasses import asdict

import typer

from providers.preflight import Grade
from scripts.crossover.doctor.looks import run
from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import console, emit_json, styled, table
from scripts.crossover.stack.engine import Stack


def command(stack: Stack, as_json: AsJson = False) -> None:
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
