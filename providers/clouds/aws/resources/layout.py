"""Zones, addresses and who goes where: pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence

from providers.errors import InvalidRequest

SUBNETS = 16
"""A VPC is cut into as many; a zone's letter chooses, so that no zone's range depends on which others are used."""


def subnet_cidr(vpc_cidr: str, zone: str) -> str:
    """The zone's range: us-east-1a has the first sixteenth of the VPC's, us-east-1b the second, …"""
    index = ord(zone[-1]) - ord("a")
    if not 0 <= index < SUBNETS:
        raise InvalidRequest(f"zone {zone} has no range in the VPC: use an existing VPC (vpcId, subnetIds)")
    return str(list(ipaddress.IPv4Network(vpc_cidr).subnets(prefixlen_diff=4))[index])


def spread(
    zones_of: Mapping[str, Sequence[str]], taken: Mapping[str, str], max_per_failure_domain: int
) -> dict[str, str]:
    """Node key → zone, now or when it is replaced: a machine that exists stays where it is (`taken`, key → zone) while
    that zone is allowed; any other goes to the least used of the zones that may carry it (`zones_of`).

    Raises InvalidRequest where a new node finds no zone with fewer than `max_per_failure_domain`.
    """
    used = Counter(taken[key] for key in zones_of if key in taken)
    placed = {key: taken[key] for key, allowed in zones_of.items() if taken.get(key) in allowed}
    for key in sorted(set(zones_of) - set(placed), key=lambda k: (k not in taken, k)):
        zone = min(sorted(zones_of[key]), key=lambda z: used[z])
        if key not in taken and used[zone] >= max_per_failure_domain:
            raise InvalidRequest(
                f"{len(zones_of)} nodes do not fit into {', '.join(sorted(zones_of[key]))} with at most "
                f"{max_per_failure_domain} in a zone: raise fleet.maxPerFailureDomain, add zones or subnets, or take "
                "another region or cloud for some"
            )
        placed[key] = zone
        used[zone] += key not in taken
    return placed
