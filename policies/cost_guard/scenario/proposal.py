"""What the gate judges, and its verdict under the waivers: what program, pack, preview and `plan` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.errors import STACK_PREFIX, ScenarioError, parse_baseline, parse_scenario
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.scenario.usage import Usage
from cost_guard.scenario.waivers import NO_WAIVERS, Waivers, apply
from cost_guard.verdict.judge import evaluate
from cost_guard.verdict.verdict import Verdict


@dataclass(frozen=True)
class Deployment:
    """A scenario, and what is known beside it. Build it with `parse_deployment`."""

    scenario: Scenario
    """With the numbers of the usage file, where it names one."""
    baseline: Baseline | None = None
    usage: Usage | None = None

    def verdict(
        self,
        catalogue: Catalogue,
        today: date,
        waivers: Waivers = NO_WAIVERS,
        urn: str = "",
        *,
        bills_money: bool | None = None,
    ) -> Verdict:
        """As of that day, with what the waivers lift of the Fleet of that URN (`waivers.fleet_urn`); `bills_money` as
        for `evaluate`. Raises ScenarioError."""
        found = evaluate(self.scenario, catalogue, today, self.baseline, bills_money=bills_money, usage=self.usage)
        return apply(found, waivers, urn, today)


def parse_deployment(
    scenario: object, baseline: object = None, usage: Usage | None = None, prefix: str = STACK_PREFIX
) -> Deployment:
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
    return Deployment(given if usage is None else given.with_usage(usage), approved, usage)
