"""What EC2 offers: types, zones and list prices. It has no API for what is free now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from providers.base import Offer
from providers.clouds.aws.account import Account
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.layout import regular_zones
from providers.clouds.aws.prices import list_prices
from providers.errors import CloudError, InvalidRequest
from providers.renting.naming import nearest

SKUS = ("p4d.24xlarge", "p4de.24xlarge")
"""The types with eight A100, of 40 and 80 GB each. EC2 has some 800 others, which are told where they are asked for."""


def offers(account: Account) -> list[Offer]:
    """SKUS, wherever they are offered. Raises Incomplete."""
    return _offers(account, dict.fromkeys(account.regions(), SKUS), others=False)


def offers_of(account: Account, places: Collection[tuple[str, str]]) -> list[Offer]:
    """For "(region, type)" alone; where a type is not offered, also all others of its region, without a price, so that
    the nearest can be named. Raises InvalidRequest for a region that the account has not enabled, Incomplete."""
    enabled = account.regions()
    if unknown := sorted({region for region, _ in places} - set(enabled)):
        raise InvalidRequest(
            f"aws: the account has not enabled the region {unknown[0]}: enable it in its settings, or "
            f"{nearest(unknown[0], enabled)}"
        )
    wanted = {region: tuple(sorted({sku for there, sku in places if there == region})) for region, _ in places}
    return _offers(account, wanted, others=True)


def _offers(account: Account, wanted: Mapping[str, tuple[str, ...]], others: bool) -> list[Offer]:
    client = account.client
    skus = sorted({sku for some in wanted.values() for sku in some})
    with ThreadPoolExecutor(max(1, len(skus))) as pool:
        listed = dict(zip(skus, pool.map(lambda sku: _listed(client, sku), skus), strict=True))

    def one(region: str) -> list[Offer]:
        offered = zones(client, region, wanted[region])
        known = types(client, region, list(offered))
        found = [_offer(region, sku, offered[sku], known[sku], *listed[sku]) for sku in offered]
        if others and len(offered) < len(wanted[region]):
            rest = zones(client, region, ())
            found += [_offer(region, sku, rest[sku], {}, {}, "not looked up") for sku in rest if sku not in offered]
        return found

    return account.everywhere(one, tuple(wanted))


def _listed(client: AwsClient, sku: str) -> tuple[Mapping[str, Decimal], str]:
    """Region → list price, and why there is none elsewhere."""
    try:
        return list_prices(client, sku), "AWS lists none there"
    except CloudError as e:
        return {}, str(e)


def zones(client: AwsClient, region: str, skus: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Type → the zones that offer it, of these types or of all; a type that none offers is left out."""
    answer = client.ask(
        "ec2",
        "describe_instance_type_offerings",
        region,
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(skus)}] if skus else [],
    )
    found: dict[str, list[str]] = {}
    for row in answer["InstanceTypeOfferings"]:
        found.setdefault(row["InstanceType"], []).append(row["Location"])
    return {sku: there for sku in sorted(found) if (there := regular_zones(region, found[sku]))}


def types(client: AwsClient, region: str, skus: Collection[str]) -> dict[str, dict[str, Any]]:
    """Type → what EC2 says of it. Raises InvalidRequest for one that it does not know."""
    if not skus:
        return {}
    answer = client.ask("ec2", "describe_instance_types", region, InstanceTypes=list(skus))
    return {found["InstanceType"]: found for found in answer["InstanceTypes"]}


def _offer(
    region: str, sku: str, there: Collection[str], kind: Mapping[str, Any], listed: Mapping[str, Decimal], no_price: str
) -> Offer:
    gpus = (kind.get("GpuInfo", {}).get("Gpus") or [{}])[0]
    price = listed.get(region)
    return Offer(
        cloud="aws",
        region=region,
        sku=sku,
        usd_per_hour=price,
        available=None,
        gpus=int(gpus.get("Count", 0)),
        gpu_memory_gib=int(gpus.get("MemoryInfo", {}).get("SizeInMiB", 0)) // 1024,
        description="AWS' list price, on demand" if price is not None else no_price,
        zones=tuple(there),
    )
