"""Can the nodes be kept apart?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def placement(
    ladders: Mapping[str, Sequence[tuple[str, str]]], limit: int, smaller: Collection[str] = ()
) -> dict[str, str] | None:
    """A failure domain for each node such that none holds more than `limit`, or None where there is no such choice.

    `ladders` has the (cloud, region) of each candidate by node key; a domain is cloud + region, or the node's own on a
    cloud of `smaller`: domains there are smaller than a region. Kuhn's augmenting paths, each domain being `limit`
    places.
    """
    options = {
        key: list(dict.fromkeys(_domain(key, cloud, region, smaller) for cloud, region in rungs))
        for key, rungs in ladders.items()
    }
    held: dict[str, list[str]] = {}

    def place(key: str, tried: set[str]) -> bool:
        for domain in options[key]:
            if domain in tried:
                continue
            tried.add(domain)
            holders = held.setdefault(domain, [])
            if len(holders) < limit:
                holders.append(key)
                return True
            for holder in holders:
                if place(holder, tried):
                    holders[holders.index(holder)] = key
                    return True
        return False

    if not all(place(key, set()) for key in options):
        return None
    return {key: domain for domain, holders in held.items() for key in holders}


def _domain(key: str, cloud: str, region: str, smaller: Collection[str]) -> str:
    return f"{cloud}/{region}/own of {key}" if cloud in smaller else f"{cloud}/{region}"
