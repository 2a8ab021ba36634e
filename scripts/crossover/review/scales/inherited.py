"""What blocks the base as well, where a change buys nothing: it repairs, or is about something else."""

from __future__ import annotations

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.codes import Level
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.review.scales.bought import bought
from scripts.crossover.review.scales.mixture import mixture, pairs
from scripts.crossover.stack.verdict import Side


def inherited(head: Side, base: Side, catalogue: Catalogue) -> frozenset[str]:
    """Codes that block the change and, judged by the same code on the same day under its own waivers, the base: of
    several models, the same ones. None where the change buys something, at the base's `catalogue` (`bought`)."""
    if head.verdict is None or base.verdict is None or not _buys_nothing(head, base, catalogue):
        return frozenset()
    before, now = _blocked(base.verdict), _blocked(head.verdict)
    return frozenset(code for code, models in now.items() if models <= before.get(code, set()))


def _buys_nothing(head: Side, base: Side, catalogue: Catalogue) -> bool:
    before = pairs(head.proposals, base.proposals)
    try:
        return not bought(mixture(head.proposals, before), before, catalogue)
    except ScenarioError:
        return False


def _blocked(verdict: Verdict) -> dict[str, set[str]]:
    """Code → the models that it blocks."""
    found: dict[str, set[str]] = {}
    for one in verdict.models or (verdict,):
        for reason in one.reasons:
            if reason.level is Level.BLOCK:
                found.setdefault(reason.code, set()).add(one.name)
    return found
