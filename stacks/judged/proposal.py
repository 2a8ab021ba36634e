"""The proposal of a stack's configuration: what the gate judges, as the program and the commands read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cost_guard.scenario.documents import read_usage
from cost_guard.scenario.proposal import BASELINE, STACK_PREFIX, Proposal, parse_proposal
from cost_guard.scenario.scenario import Scenario, ScenarioError
from cost_guard.scenario.sections.beside import NO_SPEND, BilledResource, GatewaySpend
from images.roles.gateway.settings import GatewaySettings
from strict.problems import Problems, parse

GATEWAY = "gateway"
"""The key of the gateway's own machine."""
SCENARIO_KEYS = tuple(field.alias or name for name, field in Scenario.model_fields.items())


def proposal_of(
    values: Mapping[str, Any],
    root: Path,
    prefix: str = STACK_PREFIX,
    resources: tuple[BilledResource, ...] = (),
) -> Proposal:
    """What the gate judges, whatever the other keys say but serving.model, which is what the nodes serve;
    `resources` are those of the whole stack. Raises
    ScenarioError."""
    scenario = {key: value for key, value in values.items() if key in SCENARIO_KEYS}
    usage = read_usage(values, root, prefix)
    return parse_proposal(
        _with_model(scenario, values, prefix),
        values.get(BASELINE),
        usage,
        prefix,
        gateway=_gateway_spend(values.get(GATEWAY, {})),
        resources=resources,
    )


def _with_model(scenario: dict[str, Any], values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The scenario, and in its workload the model that is served. Raises ScenarioError where it names another."""
    serving, workload = values.get("serving"), scenario.get("workload")
    model = serving.get("model") if isinstance(serving, Mapping) else None
    if not isinstance(workload, Mapping) or not isinstance(model, str):
        return scenario
    if (own := workload.get("model", model)) != model:
        raise ScenarioError(f"{prefix}workload.model: {own!r}, and serving.model is {model!r}; take it away here")
    return {**scenario, "workload": {**workload, "model": model}}


def _gateway_spend(section: object) -> GatewaySpend:
    """Nothing where the section cannot be read: who reads it whole says why."""
    try:
        gateway = parse(GatewaySettings, section)
    except Problems:
        return NO_SPEND
    budget = gateway.managed_budget_usd_per_month
    return GatewaySpend(managed_budget_usd_per_month=budget, paid_fallback=gateway.paid_fallback)
