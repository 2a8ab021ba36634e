"""A pull request under the base's scales: what differs, whether it buys more, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.waivers import FILE
from cost_guard.verdict.verdict import Reason, Verdict
from scripts.crossover.review.scales.base import ALLOWED_TYPES, DATA, catalogue_at, changed_rows, waivers_at
from scripts.crossover.review.scales.bought import bought
from scripts.crossover.review.scales.kinder import kinder_than_default
from scripts.crossover.review.scales.mixture import ChangedFigure, changed_figures, pairs, weighed
from scripts.crossover.stack.config import Tree
from scripts.crossover.stack.verdict import Side, Yardstick
from strict.problems import Problems


@dataclass(frozen=True)
class Scales:
    """Two ways to weigh one pull request, where it changes what it is weighed by."""

    changed: tuple[ChangedFigure, ...] = ()
    """Against the base; of a new model, what is kinder than its default."""
    buys: tuple[str, ...] = ()
    """What it buys more than the base has, in words. Empty: a change of scales alone, judged by its own."""
    verdict: Verdict | None = None
    """By the base's scales."""
    errors: tuple[str, ...] = ()
    """Why there is none."""

    def worse_than(self, own: Verdict) -> tuple[Reason, ...]:
        """Where more is bought, each code that is worse by the base's scales than by the pull request's own."""
        known = {reason.code: reason.level.rank for reason in own.reasons}
        found = self.verdict.reasons if self.verdict is not None and self.buys else ()
        return tuple(reason for reason in found if reason.level.rank > known.get(reason.code, -1))


def weigh(head: Side, base: Side, own: Yardstick, tree: Tree, judges: tuple[str, ...]) -> Scales | None:
    """None where the pull request is weighed by the base's scales anyway. `judges` are the files that it changes of
    those that have a say, `tree` is the base's. Raises SourceError."""
    if head.verdict is None or not head.proposals:
        return None
    try:
        there = yardstick_at(own, tree, judges)
    except Problems as error:
        told = tuple(f"the base's files that weigh cannot be read: {line}" for line in error.lines)
        return Scales(errors=told)
    before = pairs(head.proposals, base.proposals)
    changed = _changed(head.proposals, before, own, there)
    if not changed and there == own:
        return None
    mixed = {name: weighed(one, before[name]) if name in before else one for name, one in head.proposals.items()}
    try:
        return Scales(changed, bought(mixed, before, there.catalogue), there.judge(mixed))
    except ScenarioError as error:
        return Scales(changed, ("more than the base's scales can weigh",), errors=tuple(error.lines))


def yardstick_at(own: Yardstick, tree: Tree, judges: tuple[str, ...]) -> Yardstick:
    """That of the base: its catalogue and waivers where the pull request changes them. Raises Problems, SourceError."""
    priced = any(path.startswith(f"{DATA}/") or path == ALLOWED_TYPES for path in judges)
    catalogue = catalogue_at(tree) if priced else None
    waivers = waivers_at(tree) if FILE in judges else own.waivers
    return replace(own, catalogue=catalogue or own.catalogue, waivers=waivers)


def _changed(
    head: Mapping[str, Proposal], before: Mapping[str, Proposal], own: Yardstick, there: Yardstick
) -> tuple[ChangedFigure, ...]:
    found: list[ChangedFigure] = []
    for name, proposal in head.items():
        if name in before:
            figures = changed_figures(proposal, before[name])
        else:
            figures = kinder_than_default(proposal, there.catalogue)
        found += [replace(one, key=f"{name}: {one.key}") for one in figures] if len(head) > 1 else figures
    found += changed_rows(own.catalogue, there.catalogue)
    if there.waivers != own.waivers:
        counts = (f"{len(one.waivers.entries)} waivers" for one in (there, own))
        found.append(ChangedFigure(FILE, *counts))
    return tuple(dict.fromkeys(found))
