"""Zones, addresses and who goes where: pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence

from providers.errors import InvalidRequest

NEVER: Mapping[str, Mapping[str, float]] = {}
SUBNETS = 16
"""A VPC is cut into as many; a zone's letter chooses, so that no zone's range depends on which others are used."""


def subnet_cidr(vpc_cidr: str, zone: str) -> str:
    """The zone's range: us-east-1a has the first sixteenth of the VPC's, us-east-1b the second, …"""
    index = ord(zone[-1]) - ord("a")
    if not 0 <= index < SUBNETS:
        raise InvalidRequest(f"zone {zone} has no range in the VPC: use an existing VPC (vpcId, subnetIds)")
    return str(list(ipaddress.IPv4Network(vpc_cidr).subnets(prefixlen_diff=4))[index])


def spread(
    zones_of: Mapping[str, Sequence[str]],
    taken: Mapping[str, str],
    max_per_failure_domain: int,
    asked: Mapping[str, Mapping[str, float]] = NEVER,
) -> dict[str, str]:
    """Node key → zone, now or when it is replaced: a machine that exists stays where it is (`taken`, key → zone) while
    that zone is allowed; any other goes, of the zones that may carry it (`zones_of`) and have room, to that where it
    was not asked for in vain for the longest time (`asked`, key → zone → when), then to the least used.

    Raises InvalidRequest where a new node finds no zone with fewer than `max_per_failure_domain`.
    """
    used = Counter(taken[key] for key in zones_of if key in taken)
    placed = {key: taken[key] for key, allowed in zones_of.items() if taken.get(key) in allowed}
    for key in sorted(set(zones_of) - set(placed), key=lambda k: (k not in taken, k)):
        room = [z for z in sorted(zones_of[key]) if key in taken or used[z] < max_per_failure_domain]
        if not room:
            raise InvalidRequest(
                f"{len(zones_of)} nodes do not fit into {', '.join(sorted(zones_of[key]))} with at most "
                f"{max_per_failure_domain} in a zone: raise fleet.maxPerFailureDomain, add zones or subnets, or take "
                "another region or cloud for some"
            )
        tried = asked.get(key, {})
        zone = min(room, key=lambda z: (tried.get(z, 0.0), used[z]))
        placed[key] = zone
        used[zone] += key not in taken
    return placed
