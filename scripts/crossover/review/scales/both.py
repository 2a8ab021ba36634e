"""A pull request under the base's scales: what differs, whether it buys more, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.waivers import FILE
from cost_guard.verdict.verdict import Reason, Verdict
from scripts.crossover.review.scales.base import changed_rows
from scripts.crossover.review.scales.bought import bought
from scripts.crossover.review.scales.kinder import kinder_than_default
from scripts.crossover.review.scales.mixture import ChangedFigure, changed_figures, mixture, pairs
from scripts.crossover.stack.verdict import Side, Yardstick


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
    unread: tuple[str, ...] = ()
    """Files that weigh, of either side, which this code cannot read, and what counts in their place."""

    def worse_than(self, own: Verdict) -> tuple[Reason, ...]:
        """Where more is bought, each code that is worse by the base's scales than by the pull request's own."""
        return worse(self.verdict, own) if self.verdict is not None and self.buys else ()


def worse(verdict: Verdict, than: Verdict) -> tuple[Reason, ...]:
    """Each code that is worse in one verdict than in the other."""
    known = {reason.code: reason.level.rank for reason in than.reasons}
    return tuple(reason for reason in verdict.reasons if reason.level.rank > known.get(reason.code, -1))


def weigh(
    head: Side, base: Side, own: Yardstick, there: Yardstick, judge: Callable[[Mapping[str, Proposal]], Verdict]
) -> Scales | None:
    """None where the pull request is weighed by the base's scales anyway. `there` is the base's yardstick, and `judge`
    asks it."""
    if head.verdict is None or not head.proposals:
        return None
    before = pairs(head.proposals, base.proposals)
    changed = _changed(head.proposals, before, own, there)
    if not changed and there == own:
        return None
    mixed = mixture(head.proposals, before)
    try:
        return Scales(changed, bought(mixed, before, there.catalogue), judge(mixed))
    except ScenarioError as error:
        return Scales(changed, ("what the base's figures cannot judge",), errors=tuple(error.lines))


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
