"""The fleet that a stack's committed configuration wants. The stack need not exist yet, and no secret is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cost_guard.scenario.fleet import LadderFleet
from cost_guard.scenario.proposal import STACK_PREFIX, parse_scenario
from cost_guard.scenario.scenario import ScenarioError
from images.sources import REPOSITORY
from scripts.crossover.stack.config import ConfigError, Tree, config_path, read_config
from scripts.crossover.stack.engine import StackError
from stacks.served import SCENARIO_KEYS


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
        scenario = parse_scenario({k: v for k, v in config.values.items() if k in SCENARIO_KEYS}, STACK_PREFIX)
    except ScenarioError as e:
        raise StackError("; ".join(config.lines.located(e.lines))) from None
    if not isinstance(scenario.fleet, LadderFleet):
        raise StackError(f"{STACK_PREFIX}fleet: a stack needs `nodes` as a map of key to candidates")
    return config.values, scenario.fleet
