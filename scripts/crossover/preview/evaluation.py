"""The verdict on a configuration that was read as data: what the program would say, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cost_guard import Baseline, Catalogue, Scenario, ScenarioError, Verdict, evaluate, parse_baseline, parse_scenario

from scripts.crossover.preview.source import ConfigError, StackConfig, Tree, read_config
from stacks.settings import NAMESPACE, SCENARIO_KEYS, SettingsError, parse


@dataclass(frozen=True)
class Gate:
    """What every evaluation of one review shares."""

    catalogue: Catalogue
    """Of the head, for both sides: a difference is then the configuration's."""
    today: date
    stack: str

    def judge(self, scenario: Scenario, baseline: Baseline | None) -> Verdict:
        """The verdict on a deployment."""
        return evaluate(scenario, self.catalogue, self.today, baseline)


@dataclass(frozen=True)
class Side:
    """One configuration and its verdict: the pull request's, or the one before it."""

    name: str
    """The ref as the user gave it; empty for the working tree."""
    config: StackConfig | None = None
    """None where the stack is new, or its file cannot be read."""
    scenario: Scenario | None = None
    baseline: Baseline | None = None
    verdict: Verdict | None = None
    errors: tuple[str, ...] = ()
    """Why there is no verdict; empty where the stack does not exist on this side."""


def evaluate_side(gate: Gate, tree: Tree, path: str, *, whole: bool) -> Side:
    """Reads and judges. `whole` checks the rest of the configuration too, as the program would. Raises SourceError."""
    try:
        config = read_config(tree, path)
    except ConfigError as error:
        return Side(tree.ref, errors=error.lines)
    if config is None:
        return Side(tree.ref)
    try:
        if whole:
            settings = parse(config.values)  # a secret is any text to it
            scenario, baseline = settings.scenario, settings.baseline
        else:
            given = {key: value for key, value in config.values.items() if key in SCENARIO_KEYS}
            scenario = parse_scenario(given, NAMESPACE)
            approved = config.values.get("baseline")
            baseline = None if approved is None else parse_baseline(approved)
        return Side(tree.ref, config, scenario, baseline, gate.judge(scenario, baseline))
    except ScenarioError as error:
        return Side(tree.ref, config, errors=located(error.lines, config))
    except SettingsError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        return Side(tree.ref, config, errors=located(lines, config))


def located(lines: list[str], config: StackConfig) -> tuple[str, ...]:
    """Each line with the file and the line of the key that it begins with."""
    return tuple(f"{config.path}:{config.line(_place(line))}: {line}" for line in lines)


def _place(line: str) -> tuple[str, ...]:
    key = line.removeprefix(NAMESPACE).partition(": ")[0] if line.startswith(NAMESPACE) else ""
    return tuple(part for part in key.replace("[", ".").replace("]", "").split(".") if part)
