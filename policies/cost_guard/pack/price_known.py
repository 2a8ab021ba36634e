"""Rule price-known: every candidate has a price and a throughput in the catalogue."""

from pulumi_policy import Severity

from cost_guard.pack.fleet import fleet_rule

RULE = fleet_rule(
    "price-known",
    Severity.CRITICAL,
    remediation="Choose a SKU of the catalogue, or add its price and its throughput, each with source and date.",
)
