"""Makes a review: what can be known without the engine first, then what the preview reports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain
from pathlib import Path

from cost_guard.catalogue.catalogue import Catalogue, CatalogueError, load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import WaiverError, load_waivers
from cost_guard.scenario.waivers import FILE
from images.sources import REPOSITORY
from scripts.crossover.review.flip import flips_of
from scripts.crossover.review.jobs import stacks_without_job
from scripts.crossover.review.judges import judges_changed
from scripts.crossover.review.preview.engine import preview, secret_values
from scripts.crossover.review.preview.scrub import Scrubber, from_environment
from scripts.crossover.review.review import Review
from scripts.crossover.review.scales.base import DATA, changed_weights, weighed_by
from scripts.crossover.review.scales.both import Scales, weigh
from scripts.crossover.review.scales.inherited import inherited
from scripts.crossover.stack.approval import approved_at
from scripts.crossover.stack.config import ConfigError, Tree, config_path
from scripts.crossover.stack.engine import project
from scripts.crossover.stack.verdict import Side, Yardstick, evaluate_side

REMOVED = (
    "the file is removed, which ends no machine: take the stack down first (make down STACK={stack}), then take it out "
    "of the workflow's matrix too"
)


def judged(stack: str, base: str | None, untrusted: str | None, today: date, reports: Path | None = None) -> Review:
    """What can be known without the engine; `reports` is where this preview writes. Raises SourceError."""
    path, tree = config_path(stack), Tree(REPOSITORY, untrusted or "")
    judges = judges_changed(tree, base, reports) if base else ()
    known = _known(stack, today, tree if base else Tree(REPOSITORY), judges)
    yardstick = known.yardstick
    # A fork is compared with what stands here, as it is judged by the waivers here.
    approved = approved_at(Tree(REPOSITORY, base or ""), path) if base or untrusted is not None else None
    head = evaluate_side(yardstick, tree, path, whole=True, before=approved)
    missing = head.config is None and not head.errors
    broken, without_job = known.errors, tuple[str, ...]()
    try:
        without_job = stacks_without_job(tree) if base else ()
    except ConfigError as error:
        broken += tuple(error.lines)
    if broken:
        head = replace(head, verdict=None, once_merged=None, proposals={}, errors=(*head.errors, *broken))
    before = None if base is None else _compared(known, Tree(REPOSITORY, base), path, judges, head)
    removed = missing and before is not None and before.side.config is not None
    if missing:
        why = REMOVED if removed else "there is no such file; has stack {stack} another name?"
        head = replace(head, errors=(f"{path}:1: {why.format(stack=yardstick.stack)}", *head.errors))
    return Review(
        stack=stack,
        path=path,
        today=yardstick.today,
        head=head,
        base=None if before is None else before.side,
        approved=approved,
        untrusted=untrusted is not None,
        waivers=yardstick.waivers,
        flips=flips_of(head.proposals, head.verdict, yardstick.judge),
        judges_changed=judges,
        scales=None if before is None else before.scales,
        inherited=frozenset() if before is None else before.inherited,
        without_job=without_job,
        removed=removed,
    )


@dataclass(frozen=True)
class _Known:
    """What weighs the pull request, and what is wrong with it."""

    yardstick: Yardstick
    errors: tuple[str, ...] = ()
    """Why nothing can be judged by it."""
    unread: tuple[str, ...] = ()
    """Of what the pull request changes: this code cannot read it, so what stands here counts."""


@dataclass(frozen=True)
class _Compared:
    """The base, and what follows from it."""

    side: Side
    scales: Scales | None
    inherited: frozenset[str]


def _compared(known: _Known, base: Tree, path: str, judges: tuple[str, ...], head: Side) -> _Compared:
    """The base with its own prices and waivers, so that what was is told as it was; with the pull request's where
    nobody can read them. Raises SourceError."""
    if not known.yardstick.catalogue.prices:
        return _Compared(Side(base.ref, errors=known.errors), None, frozenset())
    there, unread = weighed_by(known.yardstick, base, judges)
    side = evaluate_side(there, base, path, whole=False)
    scales = None if unread else weigh(head, side, known.yardstick, there, there.judge)
    lines = [f"{_THEIRS}: {line}. What the base's own code says of it counts." for line in chain(*unread.values())]
    lines += [f"{_OURS}: {line}. Those of the base count." for line in known.unread]
    if lines:
        scales = replace(scales or Scales(), unread=tuple(lines))
    return _Compared(side, scales, inherited(head, side, there.catalogue))


_THEIRS, _OURS = (f"{whose} files that weigh cannot be read" for whose in ("the base's", "the pull request's"))


def _known(stack: str, today: date, tree: Tree, judges: tuple[str, ...]) -> _Known:
    """The catalogue and the waivers of the pull request, which `tree` is; those here where it changes neither. What
    buys more is weighed by the base's, too (`weigh`). Raises SourceError."""
    found = Yardstick(Catalogue({}, {}, clouds={}), today, stack.rpartition("/")[2], project=project())
    errors: dict[str, list[str]] = {}
    try:
        found = replace(found, catalogue=load_catalogue())
    except CatalogueError as error:
        errors[DATA] = [str(error)]
    try:
        found = replace(found, waivers=load_waivers(REPOSITORY, codes))
    except WaiverError as error:
        errors[FILE] = list(error.lines)
    unread: Mapping[str, tuple[str, ...]] = {}
    if tree.ref:
        found, unread = weighed_by(found, tree, judges)
        for name in changed_weights(judges):
            if name not in unread:
                errors.pop(name, None)
    return _Known(found, tuple(chain(*errors.values())), tuple(chain(*unread.values())))


def previewed(review: Review, pack_config: Path | None) -> tuple[Review, Scrubber]:
    """The review with what the engine reports, and what hides all secrets that the engine knew."""
    assert review.head.config is not None
    hidden = secret_values(review.stack, review.head.config.secrets)
    clean = Scrubber([*from_environment(os.environ), *hidden])
    return replace(review, run=preview(review.stack, review.today, clean, pack_config)), clean
