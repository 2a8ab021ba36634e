"""The gate on a program that is not ours: its preview with the pack, and the verdict on the Fleet that it tells of.

There is no configuration to read: the Fleet's inputs are the proposal. What is up is what they are compared with, and
the baseline that stands there is the approved one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.pack.registry import codes
from cost_guard.scenario.proposal import Proposal, proposal_of_inputs
from cost_guard.scenario.waiver_file import WAIVERS_VARIABLE, load_waivers
from cost_guard.scenario.waivers import FILE
from cost_guard.verdict.judge import judge, refuse_future
from cost_guard.verdict.verdict import Verdict
from images.sources import REPOSITORY
from scripts.crossover.review.flip import flips
from scripts.crossover.review.preview.engine import PulumiProgram, preview
from scripts.crossover.review.preview.events import FleetStep, Run
from scripts.crossover.review.preview.scrub import Scrubber, from_environment
from scripts.crossover.review.review import Review
from scripts.crossover.review.scales.both import weigh
from scripts.crossover.review.scales.inherited import inherited
from scripts.crossover.stack.approval import Approved
from scripts.crossover.stack.config import SourceError, git
from scripts.crossover.stack.engine import STATE
from scripts.crossover.stack.verdict import Side, Yardstick, judged_within, varied
from strict import names
from strict.problems import Problems

UP = "what is up"
"""What a program of others is compared with: nothing of its base is run."""
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine writes a text that only `up` knows (plugin.UnknownStringValue of pulumi/sdk 3)."""


def foreign(folder: Path, stack: str, today: date, pack_config: Path | None) -> tuple[Review, Scrubber]:
    """The review of a Pulumi project in a folder, and what hides its secrets. Raises SourceError."""
    program = _program(folder)
    clean = Scrubber([*from_environment(os.environ), *_secrets(program, stack)])
    run = preview(stack, today, clean, pack_config, program)
    return reviewed(run, folder, stack, today), clean


def reviewed(run: Run, folder: Path, stack: str, today: date) -> Review:
    """The review of what a preview told: the worst of its Fleets is the one that is shown. Raises SourceError."""
    review = Review(stack, _path(folder, stack), today, Side(""), Side(UP), run=run, foreign=True)
    try:
        yardstick = Yardstick(load_catalogue(), today, stack.rpartition("/")[2], load_waivers(folder, codes))
    except Problems as error:
        return replace(review, head=Side("", errors=tuple(error.lines)))
    sides = [_judged(yardstick, fleet) for fleet in run.fleets if fleet.after is not None]
    review = replace(review, waivers=yardstick.waivers)
    if not sides:
        return review
    gone = [fleet for fleet in run.fleets if fleet.after is None]
    found = [_compared(yardstick, review, side, gone) for side in sides]
    review = max(found, key=_badness)
    head = review.head
    if head.proposal is None:
        return review
    ask = varied(head.proposal, lambda given: judge(given, yardstick.catalogue, today))  # under its waivers already
    return replace(review, flips=flips(head.proposal.scenario, ask))


def _program(folder: Path) -> PulumiProgram:
    """Raises SourceError where there is none, or no engine."""
    if not (folder / "Pulumi.yaml").exists():
        raise SourceError(f"{folder}: there is no Pulumi.yaml; name the folder of a Pulumi project")
    path = f"{os.environ.get('PATH', '')}:{STATE / 'bin'}"  # theirs first
    engine = shutil.which("pulumi", path=path)
    if engine is None:
        raise SourceError("there is no pulumi on PATH: install the CLI, or run scripts/bootstrap of this repository")
    own = folder.resolve() / FILE
    waivers = os.environ.get(WAIVERS_VARIABLE) or str(own if own.exists() else os.devnull)  # never this repository's
    variables = {"PATH": path, WAIVERS_VARIABLE: waivers}
    return PulumiProgram(folder, engine, str(REPOSITORY / "policies"), variables)


def _secrets(program: PulumiProgram, stack: str) -> list[str]:
    """The decrypted values of secret keys of the stack's configuration. None where they cannot be had: then nor can the
    preview."""
    command = [program.engine, "config", "--json", "--show-secrets", "--stack", stack, "--non-interactive"]
    try:
        done = subprocess.run(
            command, cwd=program.folder, env={**os.environ, **program.variables}, capture_output=True, timeout=120
        )
        given = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired):
        return []
    secret = [entry for entry in given.values() if isinstance(entry, dict) and entry.get("secret")]
    return [part for entry in secret for text in _texts(entry) for part in (text, *text.splitlines())]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _path(folder: Path, stack: str) -> str:
    """Where findings point: the stack's file, from the repository's root."""
    name = f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    file = name if (folder / name).exists() else "Pulumi.yaml"
    try:
        return f"{git(folder, 'rev-parse', '--show-prefix').strip()}{file}"
    except SourceError:  # no repository
        return file


def _judged(yardstick: Yardstick, fleet: FleetStep) -> tuple[Side, Side, Approved]:
    """The Fleet after and before, and the baseline that stands where it is up."""
    before = Side(UP) if fleet.before is None else _side(yardstick, fleet.urn, fleet.before, UP, None)
    approved = Approved(UP, before.own_baseline, readable=not before.errors)
    assert fleet.after is not None
    return _side(yardstick, fleet.urn, fleet.after, "", approved), before, approved


def _compared(
    yardstick: Yardstick, review: Review, judged: tuple[Side, Side, Approved], gone: list[FleetStep]
) -> Review:
    """The review of one Fleet. A new one beside the only one that goes is weighed by that one's figures: it has another
    name."""
    head, before, approved = judged
    earlier = before
    if not before.proposals and len(gone) == 1 and gone[0].before is not None:
        earlier = _side(yardstick, gone[0].urn, gone[0].before, UP, None)
    ask = _asking(yardstick)
    return replace(
        review,
        head=head,
        base=before,
        approved=approved,
        scales=weigh(head, earlier, yardstick, yardstick, ask),
        inherited=inherited(head, earlier, yardstick.catalogue),
    )


def _asking(yardstick: Yardstick) -> Callable[[Mapping[str, Proposal]], Verdict]:
    """The verdict on one Fleet's proposal, which is under its waivers already."""

    def ask(proposals: Mapping[str, Proposal]) -> Verdict:
        (only,) = proposals.values()
        return judge(only, yardstick.catalogue, yardstick.today)

    return ask


def _side(yardstick: Yardstick, urn: str, inputs: Mapping[str, Any], name: str, approved: Approved | None) -> Side:
    fleet = names.name_of(urn)
    try:
        found = _proposal(inputs).under(yardstick.waivers, urn)
        if approved is not None:
            refuse_future(found.baseline, yardstick.today)
        side = judged_within({fleet: found}, found.baseline, approved, _asking(yardstick))
        return replace(side, name=name)
    except Problems as error:
        return Side(name, errors=tuple(f"{fleet}: {line}" for line in error.lines))


def _proposal(inputs: Mapping[str, Any]) -> Proposal:
    """Raises Problems: also where something is known to `up` alone, or secret."""
    data = {key: value for key, value in inputs.items() if not key.startswith("__")}
    if later := [key for key, value in data.items() if UNKNOWN in _texts(value)]:
        raise Problems(f"crossover:{later[0]}: has what only `up` knows; the gate needs it known at preview")
    return proposal_of_inputs(data)


def _badness(review: Review) -> tuple[int, float]:
    """What cannot be judged is worst, then the worst of what is found of this Fleet, then the money."""
    verdict = review.verdict
    if verdict is None:
        return len(Level), 0.0
    found = {finding.level for finding in replace(review, run=None).findings}
    return max(level.rank for level in Level if level is Level.PASS or str(level) in found), float(
        verdict.self_hosted_usd_per_month or 0
    )
