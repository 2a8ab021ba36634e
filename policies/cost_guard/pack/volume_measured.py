"""Rule volume-measured: a fleet that runs is judged by a measured volume."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "volume-measured",
    Severity.MEDIUM,
    remediation="Run `crossover usage import` on what the fleet served, and name the file in workload.usage.",
)
