"""The gate on a pull request: preview with the pack, comment and reports. Exits 0 pass or warn, 2 block, 3 cannot
evaluate, 1 where the program or the engine failed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from scripts.crossover.review.foreign import foreign
from scripts.crossover.review.formats import write
from scripts.crossover.review.make import judged, previewed
from scripts.crossover.review.preview.scrub import Scrubber, from_environment
from scripts.crossover.review.review import Review
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import AsJson, Strict
from scripts.crossover.shell.output import console, emit_json, fail, styled
from scripts.crossover.stack.config import SourceError
from scripts.crossover.stack.engine import Stack

Project = Annotated[
    Path | None,
    typer.Option(
        exists=True, file_okay=False, metavar="DIR", help="A Pulumi project of others: its Fleets, as they are planned."
    ),
]
STACK = re.compile(r"\w[\w.-]*(/\w[\w.-]*){0,2}", re.ASCII)


def command(
    out: Annotated[Path, typer.Option(file_okay=False, help="Where comment.md and the reports go.", metavar="DIR")],
    stack: Stack,
    base: Annotated[
        str | None, typer.Option(metavar="REF", help="What to compare with, such as origin/main or HEAD^1.")
    ] = None,
    untrusted: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Judge the configuration at this ref as data: no program, no secret."),
    ] = None,
    project: Project = None,
    policy_pack_config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Given to the engine with the pack.")
    ] = None,
    today: Today = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> None:
    if not STACK.fullmatch(stack):
        raise typer.BadParameter(f"{stack!r} is no name of a stack", param_hint="--stack")
    now = day(today)
    clean = Scrubber(from_environment(os.environ))
    try:
        if project is not None:
            _refuse_base(base or untrusted)
            review, clean = foreign(project, stack, now, policy_pack_config)
        else:
            review = judged(stack, base, untrusted, now, out)
            if review.verdict is not None and not review.untrusted:
                review, clean = previewed(review, policy_pack_config)
        written = write(review, out, strict, clean)
    except (SourceError, OSError) as error:
        fail(clean(str(error)))
    if as_json:
        emit_json(json.loads(written["report.json"]))
    else:
        _show(review, out, clean)
    raise typer.Exit(review.exit_code(strict))


def _refuse_base(ref: str | None) -> None:
    if ref is not None:
        raise typer.BadParameter(
            "it is compared with what is up, by running its program: leave out --base and --untrusted",
            param_hint="--project",
        )


def _show(review: Review, folder: Path, clean: Scrubber) -> None:
    out = console()
    told = "" if review.verdict is None else f"  {review.verdict.summary}"
    out.print(Text.assemble(styled(review.outcome.value.split()[0], review.outcome.value), clean(told)))
    for finding in review.findings:
        out.print(Text.assemble(styled(finding.level), clean(f" {finding.rule}: {finding.message}")))
    turned = "would pass the cost gate" if review.verdict and review.verdict.blocked else "would block it"
    for flip in review.flips:
        out.print(Text(f"alone, {flip.words} {turned}{f'; {flip.decided_by}' if flip.decided_by else ''}"))
    out.print(Text(f"written: {folder / 'comment.md'}, report.json, junit.xml, sarif.json"))
