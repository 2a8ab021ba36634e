"""Rule price-fresh: no price is older than 180 days."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "price-fresh",
    Severity.MEDIUM,
    remediation="Run `crossover prices refresh`, or look the price up and change its row, date and source together.",
)
