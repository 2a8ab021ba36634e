"""The verdict on a configuration that was read as data: what the program would say, without running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from cost_guard.errors import ScenarioError, parse_baseline, parse_scenario
from cost_guard.evaluate import evaluate
from cost_guard.prices import Catalogue
from cost_guard.scenario import Baseline, Scenario
from cost_guard.usage import Usage
from cost_guard.verdict import Verdict
from cost_guard.waivers import NO_WAIVERS, Waivers, apply, fleet_urn

from scripts.crossover.preview.source import ConfigError, StackConfig, Tree, read_config
from stacks.documents import read_usage, usage_path
from stacks.settings import NAMESPACE, SCENARIO_KEYS, SettingsError, parse


@dataclass(frozen=True)
class Gate:
    """What every evaluation of one review shares."""

    catalogue: Catalogue
    """Of the head, for both sides: a difference is then the configuration's."""
    today: date
    stack: str
    """Its name alone, as waivers know it."""
    waivers: Waivers = NO_WAIVERS
    project: str = "crossover"

    def judge(self, scenario: Scenario, baseline: Baseline | None, usage: Usage | None) -> Verdict:
        """The verdict on a deployment, before any waiver. Raises ScenarioError."""
        return evaluate(scenario, self.catalogue, self.today, baseline, usage=usage)

    def waive(self, verdict: Verdict) -> Verdict:
        """What the waivers leave of a verdict, as in the program."""
        return apply(verdict, self.waivers, self.stack, fleet_urn(self.stack, self.project), self.today)

    def vary(self, side: Side) -> Callable[[Scenario], Verdict | None]:
        """The verdict on variations of a side's scenario, its usage file's numbers included; None on one that makes no
        sense."""
        volume_date = None if side.usage is None else side.usage.to

        def judge(scenario: Scenario) -> Verdict | None:
            try:
                found = evaluate(scenario, self.catalogue, self.today, side.baseline, volume_date=volume_date)
                return self.waive(found)
            except ScenarioError:
                return None

        return judge


@dataclass(frozen=True)
class Side:
    """One configuration and its verdict: the pull request's, or the one before it."""

    name: str
    """The ref as the user gave it; empty for the working tree."""
    config: StackConfig | None = None
    """None where the stack is new, or its file cannot be read."""
    scenario: Scenario | None = None
    """With the numbers of the usage file, where it names one."""
    baseline: Baseline | None = None
    usage: Usage | None = None
    verdict: Verdict | None = None
    errors: tuple[str, ...] = ()
    """Why there is no verdict; empty where the stack does not exist on this side."""


def evaluate_side(gate: Gate, tree: Tree, path: str, *, whole: bool) -> Side:
    """Reads and judges. `whole` is what the program would do: it checks the rest of the configuration too, and applies
    the waivers. Raises SourceError."""
    try:
        config = read_config(tree, path)
    except ConfigError as error:
        return Side(tree.ref, errors=error.lines)
    if config is None:
        return Side(tree.ref)
    try:
        with tree.folder_with(_usage_file(config)) as folder:
            scenario, baseline, usage = (_whole if whole else _scenario_alone)(config, folder)
        verdict = gate.judge(scenario, baseline, usage)
        return Side(tree.ref, config, scenario, baseline, usage, gate.waive(verdict) if whole else verdict)
    except ConfigError as error:
        return Side(tree.ref, config, errors=error.lines)
    except ScenarioError as error:
        return Side(tree.ref, config, errors=tuple(config.lines.located(error.lines)))
    except SettingsError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        return Side(tree.ref, config, errors=tuple(config.lines.located(lines)))


Judged = tuple[Scenario, Baseline | None, Usage | None]


def _whole(config: StackConfig, folder: Path) -> Judged:
    settings = parse(config.values, folder)  # a secret is any text to it
    return settings.scenario, settings.baseline, settings.usage


def _scenario_alone(config: StackConfig, folder: Path) -> Judged:
    given = {key: value for key, value in config.values.items() if key in SCENARIO_KEYS}
    scenario, usage = parse_scenario(given, NAMESPACE), read_usage(given, folder, NAMESPACE)
    approved = config.values.get("baseline")
    baseline = None if approved is None else parse_baseline(approved)
    return scenario if usage is None else scenario.with_usage(usage), baseline, usage


def _usage_file(config: StackConfig) -> str | None:
    """The usage file that a configuration names, if it is within the project."""
    named = usage_path(config.values)
    outside = named is None or PurePosixPath(named).is_absolute() or ".." in PurePosixPath(named).parts
    return None if outside else named
