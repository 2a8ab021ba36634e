"""Rule redundancy: two nodes at least, in failure domains of their own."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "redundancy",
    Severity.HIGH,
    remediation="Add a node, or candidates in more regions or clouds, so that maxPerFailureDomain can be kept.",
)
