"""Makes a review: what can be known without the engine first, then what the preview reports."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

from cost_guard.catalogue.catalogue import Catalogue, CatalogueError, load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import WaiverError, load_waivers
from images.sources import REPOSITORY
from scripts.crossover.review.flip import flips
from scripts.crossover.review.jobs import stacks_without_job
from scripts.crossover.review.judges import judges_changed
from scripts.crossover.review.preview.engine import preview, secret_values
from scripts.crossover.review.preview.scrub import Scrubber, from_environment
from scripts.crossover.review.review import Review
from scripts.crossover.review.scales.both import weigh, yardstick_at
from scripts.crossover.stack.approval import approved_at
from scripts.crossover.stack.config import ConfigError, Tree, config_path
from scripts.crossover.stack.engine import project
from scripts.crossover.stack.verdict import Side, Yardstick, evaluate_side
from strict.problems import Problems

REMOVED = (
    "the file is removed, which ends no machine: take the stack down first (make down STACK={stack}), then take it out "
    "of the workflow's matrix too"
)


def judged(stack: str, base: str | None, untrusted: str | None, today: date) -> Review:
    """What can be known without the engine. Raises SourceError."""
    path, tree = config_path(stack), Tree(REPOSITORY, untrusted or "")
    yardstick, unpriced, broken = _yardstick(stack, today)
    judges = judges_changed(tree, base) if base else ()
    # A fork is compared with what stands here, as it is judged by the waivers here.
    approved = approved_at(Tree(REPOSITORY, base or ""), path) if base or untrusted is not None else None
    head = evaluate_side(yardstick, tree, path, whole=True, before=approved)
    missing = head.config is None and not head.errors
    without_job: tuple[str, ...] = ()
    try:
        without_job = stacks_without_job(tree) if base else ()
    except ConfigError as error:
        broken += tuple(error.lines)
    if unpriced or broken:
        head = replace(head, verdict=None, proposals={}, errors=(*head.errors, *unpriced, *broken))
    before = Side(base, errors=unpriced) if base else None
    if base and not unpriced:
        before = _before(yardstick, Tree(REPOSITORY, base), path, judges)
    removed = missing and before is not None and before.config is not None
    if missing:
        why = REMOVED if removed else "there is no such file; has stack {stack} another name?"
        head = replace(head, errors=(f"{path}:1: {why.format(stack=yardstick.stack)}", *head.errors))
    return Review(
        stack=stack,
        path=path,
        today=yardstick.today,
        head=head,
        base=before,
        approved=approved,
        untrusted=untrusted is not None,
        waivers=yardstick.waivers,
        flips=flips(head.proposal.scenario, yardstick.vary(head.proposal)) if head.proposal else (),
        judges_changed=judges,
        scales=weigh(head, before, yardstick, Tree(REPOSITORY, base), judges) if before and base else None,
        without_job=without_job,
        removed=removed,
    )


def _before(yardstick: Yardstick, base: Tree, path: str, judges: tuple[str, ...]) -> Side:
    """The base with its own prices, so that what was is told as it was; with those here where nobody can read them."""
    with suppress(Problems):
        yardstick = yardstick_at(yardstick, base, judges)
    return evaluate_side(yardstick, base, path, whole=False)


def _yardstick(stack: str, today: date) -> tuple[Yardstick, tuple[str, ...], tuple[str, ...]]:
    """What judges both sides, and what is wrong with the catalogue and with the waivers here."""
    found = Yardstick(Catalogue({}, {}, clouds={}), today, stack.rpartition("/")[2], project=project())
    unpriced: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    try:
        found = replace(found, catalogue=load_catalogue())
    except CatalogueError as error:
        unpriced = (str(error),)
    try:
        found = replace(found, waivers=load_waivers(REPOSITORY, codes))
    except WaiverError as error:
        broken = tuple(error.lines)
    return found, unpriced, broken


def previewed(review: Review, pack_config: Path | None) -> tuple[Review, Scrubber]:
    """The review with what the engine reports, and what hides all secrets that the engine knew."""
    assert review.head.config is not None
    hidden = secret_values(review.stack, review.head.config.secrets)
    clean = Scrubber([*from_environment(os.environ), *hidden])
    return replace(review, run=preview(review.stack, review.today, clean, pack_config)), clean
