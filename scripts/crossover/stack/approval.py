"""The baseline that counts in a review: a pull request does not approve its own growth."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cost_guard import wording
from cost_guard.scenario.proposal import parse_baseline
from cost_guard.scenario.scenario import Baseline
from scripts.crossover.stack.config import Tree, read_config
from strict.problems import Problems

WAIVERS = "docs/reference/waivers.md"
ROUNDED_UP = Decimal("1.01")
"""By how much a baseline's dollars may be more than what is deployed: people round up."""

REMOVED = (
    "It counts until this is merged. From then on everything is judged in full, and the fleet counts as bought now: "
    "how long it runs is not known."
)
"""What follows where a pull request takes its baseline away."""


@dataclass(frozen=True)
class Approved:
    """The baseline as it is without the pull request."""

    ref: str
    """Where it stands; empty for the working tree."""
    baseline: Baseline | None
    """None where there is none, or none that can be read."""
    readable: bool = True
    """Whether what stands there can be read, a baseline or not."""

    def raised_by(self, own: Baseline | None) -> bool:
        """Whether the pull request's own one allows more: nodes, dollars, or anything where nothing is approved."""
        before = self.baseline
        return own is not None and (
            before is None or own.nodes > before.nodes or own.usd_per_month > before.usd_per_month
        )

    def counted(self, own: Baseline | None) -> Baseline | None:
        """This one where it is raised or removed, until that is merged; one that is lowered as the pull request has it,
        but with no later day, which would call the fleet that runs a younger one."""
        if own is None or self.baseline is None or self.raised_by(own):
            return self.baseline
        return own.model_copy(update={"date": min(own.date, self.baseline.date)})

    def raised_words(self, own: Baseline) -> str:
        """That it is raised, from what to what, what counts, and what to do."""
        where, to = self.ref or "the working tree", f"{words(own)}, approved by {own.approved_by}"
        if self.baseline is None:
            none = "none" if self.readable else "none that can be read"
            said = f"gives itself a baseline of {to}. There is {none} at {where}, so none counts here"
        else:
            said = f"raises its own baseline from {words(self.baseline)} to {to}. The one at {where} counts here"
        return (
            f"this pull request {said}: growth is judged in full. Make it pay, or have it waived "
            f"({WAIVERS}); the new baseline counts from the next change on."
        )


def excess_words(own: Baseline, deployed: tuple[int, Decimal] | None) -> str:
    """What is wrong with a baseline that is more than what the change that sets it deploys (nodes, USD a month); empty
    where nothing is, or where that is not known."""
    if deployed is None or (own.nodes <= deployed[0] and own.usd_per_month <= deployed[1] * ROUNDED_UP):
        return ""
    have = f"{wording.count(deployed[0], 'node')}, {wording.usd(deployed[1])}/month"
    return (
        f" It is more than the {have} that this pull request deploys, and what is not judged is not approved: lower it."
    )


def approved_at(tree: Tree, path: str) -> Approved:
    """The baseline there, whatever the rest of the configuration is worth. Raises SourceError."""
    try:
        config = read_config(tree, path)
        given = config.values.get("baseline") if config else None
        return Approved(tree.ref, None if given is None else parse_baseline(given))
    except Problems:
        return Approved(tree.ref, None, readable=False)


def words(baseline: Baseline) -> str:
    """ "2 nodes, $19,940/month"."""
    return f"{wording.count(baseline.nodes, 'node')}, {wording.usd(baseline.usd_per_month)}/month"
