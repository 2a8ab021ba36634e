"""Rule break-even: the fleet pays for itself at its projected volume. Judged by the verdict on the Fleet's inputs."""

from pulumi_policy import Severity

from .gate import fleet_rule

RULE = fleet_rule(
    "break-even",
    Severity.HIGH,
    remediation="Displace more volume, rent fewer or cheaper nodes, or stay managed: the violation names the volume, the managed price and the node price at which it would pay.",
)
