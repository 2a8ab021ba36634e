"""What the gate judges: what program, pack, preview and `plan` have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches

from cost_guard.scenario.scenario import Baseline, Scenario, ScenarioError
from cost_guard.scenario.usage import Usage, with_usage
from cost_guard.scenario.waivers import NO_WAIVERS, Waivers
from strict.problems import parse

STACK_PREFIX = "crossover:"
"""How a key is called in a stack's config, e.g. crossover:workload.tokensPerMonth."""
BESIDE = ("baseline", "usage")
"""Keys of a Fleet's inputs that are no part of the scenario."""
_ALIKE = 0.8
"""From which likeness on another namespace is a misspelling of ours: "crosover" is 0.94, "crossplane" 0.74."""


@dataclass(frozen=True)
class Proposal:
    """A scenario, and what is known beside it. Build it with `parse_proposal`."""

    scenario: Scenario
    """With the numbers of the usage file, where it names one."""
    baseline: Baseline | None = None
    """What was approved and runs: a deployment within it is repair."""
    usage: Usage | None = None
    """Where the scenario's volume comes from; its last day is the volume's."""
    waivers: Waivers = NO_WAIVERS
    urn: str = ""
    """The Fleet's (`waivers.fleet_urn`): what waivers may cover."""
    bills_money: bool | None = None
    """False makes price-fresh and volume-measured advisory; None reads it from the candidates' clouds."""

    def under(self, waivers: Waivers, urn: str) -> Proposal:
        """The same under these waivers, as that Fleet."""
        return replace(self, waivers=waivers, urn=urn)


def misspelt_namespace(key: str) -> str:
    """What is wrong with a key of a stack's configuration whose namespace is almost ours, and which nobody would read;
    empty where nothing is."""
    namespace, colon, _ = key.partition(":")
    ours = STACK_PREFIX.rstrip(":")
    if not colon or namespace == ours or not get_close_matches(namespace.lower(), [ours], cutoff=_ALIKE):
        return ""
    return f"{key}: unknown namespace {namespace} (did you mean {ours}?)"


def parse_proposal(
    scenario: object, baseline: object = None, usage: Usage | None = None, prefix: str = STACK_PREFIX
) -> Proposal:
    """Of the scenario's and the baseline's plain data, and the content of the usage file that the scenario names.

    `prefix` is what the keys are called by. Raises ScenarioError, with the lines of both.
    """
    lines: list[str] = []
    given = approved = None
    try:
        given = parse_scenario(scenario, prefix)
    except ScenarioError as error:
        lines += error.lines
    try:
        approved = None if baseline is None else parse_baseline(baseline, f"{prefix}baseline.")
    except ScenarioError as error:
        lines += error.lines
    if given is None or lines:
        raise ScenarioError(lines)
    return Proposal(given if usage is None else with_usage(given, usage), approved, usage)


def parse_scenario(data: object, prefix: str = STACK_PREFIX) -> Scenario:
    """The scenario of plain data. `prefix` is what its keys are called by. Raises ScenarioError."""
    return parse(Scenario, data, prefix, ScenarioError)


def parse_baseline(data: object, prefix: str = STACK_PREFIX + "baseline.") -> Baseline:
    """The approved baseline of plain data. Raises ScenarioError."""
    return parse(Baseline, data, prefix, ScenarioError)
