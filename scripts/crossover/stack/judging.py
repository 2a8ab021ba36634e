"""The gate on a stack's committed configuration: the file is read, the engine is not asked."""

from __future__ import annotations

from datetime import date

from cost_guard.catalogue.catalogue import CatalogueError, load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.waiver_file import WaiverError, load_waivers
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.stack.config import Tree, config_path
from scripts.crossover.stack.state import REPOSITORY, StackError, project
from scripts.crossover.stack.verdict import Gate, evaluate_side
from stacks.settings import SettingsError, today


def verdict(stack: str) -> Verdict:
    """As `judged`, as of today. Raises StackError alone."""
    try:
        return judged(stack, today())
    except (ScenarioError, SettingsError, CatalogueError) as e:
        raise StackError(str(e)) from None


def judged(stack: str, day: date) -> Verdict:
    """The gate on the stack's committed configuration with its waivers, as `up` would judge it on that day.

    The file is read: the stack need not exist, and no secret is needed. Raises StackError where there is no such file,
    ScenarioError and CatalogueError where what it says cannot be judged.
    """
    path = config_path(stack)
    try:
        waivers = load_waivers(REPOSITORY, codes())
    except WaiverError as e:
        raise ScenarioError(e.lines) from None
    gate = Gate(load_catalogue(), day, stack.rpartition("/")[2], waivers, project())
    side = evaluate_side(gate, Tree(REPOSITORY), path, whole=True)
    if side.errors:
        raise ScenarioError(list(side.errors))
    if side.verdict is None:
        raise StackError(f"there is no {path}")
    return side.verdict
