"""Does it pay? Break-even, capacity and cost of a scenario, or of a stack as it is configured. Old prices and a
volume that nobody measured only warn: nothing is billed yet.

Exits 0 pass or warn, 2 block, 3 cannot evaluate, 4 warn with --strict, 1 wrong call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level, worst
from cost_guard.scenario.documents import read_document
from cost_guard.scenario.proposal import parse_baseline, parse_proposals
from cost_guard.scenario.scenario import Baseline
from cost_guard.verdict.judge import judge_stack
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.verdict import Reason, Verdict
from scripts.crossover.report import text as report
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import AsJson, Strict
from scripts.crossover.shell.output import console, emit_json, evaluating, fail
from scripts.crossover.stack.engine import reading, selected
from scripts.crossover.stack.verdict import judged
from strict.problems import within

File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        exists=True,
        dir_okay=False,
        readable=True,
        help="The scenario, YAML or JSON, instead of a stack.",
    ),
]
StackName = Annotated[
    str | None,
    typer.Option(
        "--stack", "-s", help="The stack whose configuration is judged; by default the selected one, else local."
    ),
]
BaselineFile = Annotated[
    Path | None,
    typer.Option(
        "--baseline", exists=True, dir_okay=False, readable=True,
        help="With --file: what is approved and runs; repair passes.",
    ),
]  # fmt: skip
Charts = Annotated[
    Path | None,
    typer.Option(
        "--charts", metavar="DIR", file_okay=True,
        help="Writes four charts there, each as SVG and PNG, light and dark; of several models, a folder for each.",
    ),
]  # fmt: skip


def command(
    file: File = None,
    stack: StackName = None,
    baseline: BaselineFile = None,
    charts: Charts = None,
    today: Today = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> None:
    if file is not None and stack is not None:
        raise typer.BadParameter("give a scenario file or a stack, not both", param_hint="--file, --stack")
    if file is None and baseline is not None:
        raise typer.BadParameter("a stack has its own: crossover:baseline", param_hint="--baseline")
    name = "" if file else stack or selected()
    now = day(today)
    with evaluating(as_json), reading(), _working("reckoning"):
        verdict = _judge(file, baseline, now) if file else softened(judged(name, now))
    # Before anything is said: with --json, a document and a failure would contradict one another.
    written = [] if charts is None else _draw(verdict, charts)
    if as_json:
        emit_json(verdict.to_json_dict())
    else:
        if name:
            print(f"stack {name}\n")
        report.show(verdict, now, console())
        _tell(written)
    raise typer.Exit(verdict.exit_code(strict))


def softened(verdict: Verdict) -> Verdict:
    """The verdict of a stack's `up`, with a WARN for a BLOCK that only bills are refused for: a plan bills nothing.

    Not by `bills_money=False`: what a waiver or a baseline lets through in `up` is told as there.
    """

    def told(reason: Reason) -> Reason:
        if reason.level is not Level.BLOCK or not RULES[reason.code].only_for_bills:
            return reason
        words = f"{reason.message} A plan bills nothing, so it only warns here; `up` of this stack is refused for it."
        return replace(reason, level=Level.WARN, message=words)

    reasons = tuple(told(reason) for reason in verdict.reasons)
    models = tuple(softened(one) for one in verdict.models)
    return replace(verdict, reasons=reasons, models=models, level=worst(reason.level for reason in reasons))


def _judge(file: Path, baseline: Path | None, today: date) -> Verdict:
    """The gate on a scenario file, where nothing is billed. Raises ScenarioError, CatalogueError."""
    data, lines = read_document(file)
    with within(lines):
        approved = _approved(baseline)
        given = parse_proposals(data, file.parent)
        plans = {name: replace(one, baseline=approved, bills_money=False) for name, one in given.items()}
        return judge_stack(plans, load_catalogue(), today)


def _approved(file: Path | None) -> Baseline | None:
    """Raises ScenarioError."""
    if file is None:
        return None
    data, lines = read_document(file)
    with within(lines):
        return parse_baseline(data, prefix="")


def _draw(verdict: Verdict, folder: Path) -> list[Path]:
    """The files that were written; none, and a line on standard error, where there is nothing to draw."""
    drawn = {folder / one.name if verdict.models else folder: one for one in verdict.models or (verdict,)}
    if any(one.shown is None for one in drawn.values()):
        print("crossover: no charts: a price or a throughput is not known", file=sys.stderr)
        return []
    from scripts.crossover.report import charts  # here, because matplotlib takes half a second, and few draw

    try:
        with _working("drawing"):
            return [path for place, one in drawn.items() for path in charts.write(one, place)]
    except OSError as error:
        fail(f"--charts: {folder} cannot be written: {error.strerror or error}")


def _tell(written: Sequence[Path]) -> None:
    if not written:
        return
    names = ", ".join(dict.fromkeys(path.stem.removesuffix("-dark") for path in written))
    # By print: a path stays on one line, to be pasted.
    for folder in dict.fromkeys(path.parent for path in written):
        print(f"\nCharts in {folder}, SVG and PNG, light and dark:\n  {names}")


@contextmanager
def _working(doing: str) -> Iterator[None]:
    """Shows a person that the command lives; ten million draws take seconds. Nothing is written for a program."""
    err = Console(stderr=True)
    if not err.is_terminal:
        yield
        return
    with err.status(f"{doing} …"):
        yield
