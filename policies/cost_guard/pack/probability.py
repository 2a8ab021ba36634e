"""Rule probability: the fleet is more likely to pay for itself than not."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "probability",
    Severity.HIGH,
    remediation="Narrow what is uncertain (measure the volume and the throughput), or plan farther above break-even.",
)
