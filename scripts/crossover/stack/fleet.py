"""The fleet that a stack's committed configuration wants. The stack need not exist yet, and no secret is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cost_guard.scenario.fleet import LadderFleet
from cost_guard.scenario.proposal import STACK_PREFIX
from cost_guard.scenario.scenario import ScenarioError
from images.sources import REPOSITORY
from scripts.crossover.stack.config import ConfigError, Tree, config_path, read_config
from scripts.crossover.stack.engine import StackError
from stacks.settings import proposals_of


def configured(stack: str) -> tuple[Mapping[str, Any], LadderFleet]:
    """The configuration without its namespace, and the fleet in it. Raises StackError."""
    path = config_path(stack)
    try:
        config = read_config(Tree(REPOSITORY), path)
    except ConfigError as e:
        raise StackError(f"cannot read {'; '.join(e.lines)}") from None
    if config is None:
        raise StackError(f"there is no {path}")
    try:
        found = proposals_of(config.values)
    except ScenarioError as e:
        raise StackError("; ".join(config.lines.located(e.lines))) from None
    fleets = [proposal.scenario.fleet for proposal in found.values()]
    if len(fleets) > 1:
        raise StackError(f"{STACK_PREFIX}models: {len(fleets)} models are judged, and not yet deployed")
    if not isinstance(fleets[0], LadderFleet):
        raise StackError(f"{STACK_PREFIX}fleet: a stack needs `nodes` as a map of key to candidates")
    return config.values, fleets[0]
