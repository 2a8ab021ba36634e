"""What is left out of renting for a day, as a machine from there was a dud."""

from __future__ import annotations

from providers.preflight import Check, Grade
from providers.renting.memory.duds import Duds
from scripts.crossover.stack.engine import project, seen_by_the_plugin


def duds_of(stack: str) -> Duds:
    """Those of the stack, where the plugin remembers them: beside the state of the backend that scripts/pulumi uses."""
    return Duds.of(project(), stack, seen_by_the_plugin())


def duds(stack: str) -> list[Check]:
    """A line for each; none where nothing is left out."""
    remedy = "`crossover doctor --forget` lets all of them be rented again"
    return [Check("left out", Grade.WARN, dud.said, remedy) for dud in duds_of(stack).left_out().values()]
