"""The rules of the pack: BLOCKs are mandatory, one rule a reason code; WARNs are shown by one advisory rule."""

from pulumi_policy import Policy

from cost_guard.verdict import RULES

from . import advisories, node_outside_fleet
from .gate import fleet_rule


def policies() -> list[Policy]:
    """All of them, in the order of the reason codes."""
    return [
        *(fleet_rule(code, description) for code, description in RULES.items()),
        node_outside_fleet.POLICY,
        advisories.POLICY,
    ]
