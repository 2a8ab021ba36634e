"""Rule budget: fixedUsdPerMonth ≤ constraints.budgetUsdPerMonth."""

from __future__ import annotations

from .gate import fleet_rule

POLICY = fleet_rule("budget", "Nodes and overhead must stay within the budget.")
