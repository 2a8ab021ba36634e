"""Rule budget: nodes and overhead stay within the budget."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "budget",
    Severity.HIGH,
    remediation="Rent fewer or cheaper nodes, or have constraints.budgetUsdPerMonth raised by whom it belongs to.",
)
