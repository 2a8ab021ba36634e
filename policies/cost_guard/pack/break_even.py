"""Rule break-even: the fleet pays for itself at its projected volume."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "break-even",
    Severity.HIGH,
    remediation="Displace more volume, rent fewer or cheaper nodes, or stay managed: the violation says what flips it.",
)
