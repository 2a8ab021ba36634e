"""What the gate recommends besides its verdict."""

from __future__ import annotations

from decimal import Decimal

from cost_guard.codes import Level
from cost_guard.scenario.scenario import Scenario

MANAGED_BELOW_USD, OPTIMISE_TO_USD = Decimal(20_000), Decimal(80_000)
"""The article's thresholds of managed spend a month."""


def recommend(scenario: Scenario, managed_usd_per_month: Decimal | None, level: Level) -> str:
    """self-host, managed, optimise-routing or hybrid; never changes the verdict. The spend is what is displaced.

    While the spend is unknown, nothing speaks for leaving the managed API.
    """
    constraints = scenario.constraints
    if constraints.residency or constraints.fine_tuned:
        return "self-host"
    if managed_usd_per_month is None or managed_usd_per_month < MANAGED_BELOW_USD:
        return "managed"
    if managed_usd_per_month <= OPTIMISE_TO_USD:
        return "optimise-routing"
    return "self-host" if level is Level.PASS and constraints.ml_team else "hybrid"
