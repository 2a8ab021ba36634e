"""The gate on a pull request: preview with the pack, comment and reports. Exits 0 pass or warn, 2 block, 3 cannot
evaluate, 1 where the program or the engine failed."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cost_guard.catalogue.catalogue import Catalogue, CatalogueError, load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import WaiverError, load_waivers
from scripts.crossover.review import report, rules
from scripts.crossover.review.engine import preview, secret_values
from scripts.crossover.review.flip import flips
from scripts.crossover.review.formats import comment, junit, sarif
from scripts.crossover.review.review import Review
from scripts.crossover.review.scrub import Scrubber, from_environment
from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import AsJson, Strict
from scripts.crossover.shell.output import console, emit_json, styled
from scripts.crossover.stack.approval import approved_at
from scripts.crossover.stack.config import SourceError, Tree, changed_files, config_path
from scripts.crossover.stack.engine import REPOSITORY, Stack, project
from scripts.crossover.stack.verdict import Gate, Side, evaluate_side

STACK = re.compile(r"\w[\w.-]*(/\w[\w.-]*){0,2}", re.ASCII)
JUDGES = ("policies", "scripts/crossover", "scripts/pulumi", "waivers.yaml", ".github/workflows")
"""What decides the verdict beside the configuration: a pull request that changes it says so."""

REMOVED = (
    "the file is removed, which ends no machine: take the stack down first (make down STACK={stack}), then take it out "
    "of the workflow's matrix too"
)


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
        review = _review(stack, base, untrusted, now)
        if review.verdict is not None and not review.untrusted:
            review, clean = _previewed(review, policy_pack_config)
        written = write(review, out, strict, clean)
    except (SourceError, OSError) as error:
        print(f"crossover: {clean(str(error))}", file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        emit_json(json.loads(written["report.json"]))
    else:
        _show(review, out, clean)
    raise typer.Exit(review.exit_code(strict))


def _review(stack: str, base: str | None, untrusted: str | None, today: date) -> Review:
    """What can be known without the engine. Raises SourceError."""
    path = config_path(stack)
    gate = Gate(Catalogue({}, {}), today, stack.rpartition("/")[2], project=project())
    unpriced: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    try:
        gate = replace(gate, catalogue=load_catalogue())
    except CatalogueError as error:
        unpriced = (str(error),)
    try:
        gate = replace(gate, waivers=load_waivers(REPOSITORY, codes()))
    except WaiverError as error:
        broken = tuple(error.lines)
    # A fork is compared with what stands here, as it is judged by the waivers here.
    approved = approved_at(Tree(REPOSITORY, base or ""), path) if base or untrusted is not None else None
    head = evaluate_side(gate, Tree(REPOSITORY, untrusted or ""), path, whole=True, before=approved)
    missing = head.config is None and not head.errors
    if unpriced or broken:
        head = replace(head, verdict=None, proposal=None, errors=(*head.errors, *unpriced, *broken))
    before = Side(base, errors=unpriced) if base else None
    if base and not unpriced:
        before = evaluate_side(gate, Tree(REPOSITORY, base), path, whole=False)
    removed = missing and before is not None and before.config is not None
    if missing:
        why = REMOVED if removed else "there is no such file; has stack {stack} another name?"
        head = replace(head, errors=(f"{path}:1: {why.format(stack=gate.stack)}", *head.errors))
    return Review(
        stack=stack,
        path=path,
        today=gate.today,
        head=head,
        base=before,
        approved=approved,
        untrusted=untrusted is not None,
        waivers=gate.waivers,
        flips=flips(head.proposal.scenario, gate.vary(head.proposal)) if head.proposal else (),
        judges_changed=tuple(changed_files(REPOSITORY, base, untrusted or "", *JUDGES)) if base else (),
        removed=removed,
    )


def _previewed(review: Review, pack_config: Path | None) -> tuple[Review, Scrubber]:
    """The review with what the engine reports, and what hides all secrets that the engine knew."""
    assert review.head.config is not None
    hidden = secret_values(review.stack, review.head.config.secrets)
    clean = Scrubber([*from_environment(os.environ), *hidden])
    return replace(review, run=preview(review.stack, review.today, clean, pack_config)), clean


def write(review: Review, folder: Path, strict: bool, clean: Scrubber) -> dict[str, str]:
    """Writes all files, whatever the outcome, and returns their texts by name. Raises OSError."""
    demands = rules.known()
    texts = {
        "comment.md": comment.render(review),
        "report.json": _json(report.document(review, strict)),
        "junit.xml": junit.render(review, demands),
        "sarif.json": _json(sarif.document(review, demands)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    cleaned = {name: clean(text) for name, text in texts.items()}
    for name, text in cleaned.items():
        (folder / name).write_text(text, encoding="utf-8")
    return cleaned


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


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
