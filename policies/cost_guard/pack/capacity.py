"""Rule capacity: the nodes can serve the projected peak."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "capacity",
    Severity.HIGH,
    remediation="Add nodes, or plan less volume for them: the violation names how many, and how much.",
)
