"""The rules of the pack, one a file: BLOCKs are mandatory, WARNs are shown by one advisory rule."""

from pulumi_policy import Policy

from . import (
    advisories,
    break_even,
    budget,
    capacity,
    node_outside_fleet,
    price_fresh,
    price_known,
    redundancy,
    volume_measured,
)


def policies() -> list[Policy]:
    """All of them, in the order of the reason codes."""
    modules = (
        break_even,
        capacity,
        redundancy,
        price_known,
        price_fresh,
        volume_measured,
        budget,
        node_outside_fleet,
        advisories,
    )
    return [module.POLICY for module in modules]
