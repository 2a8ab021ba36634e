"""What EC2 offers: types, zones and list prices. It has no API for what is free now."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from providers.base import Offer
from providers.clouds.aws.account import Account
from providers.clouds.aws.client import AwsClient
from providers.errors import CloudError, InvalidRequest
from providers.renting.naming import nearest

SKUS = ("p4d.24xlarge", "p4de.24xlarge")
"""The types with eight A100, of 40 and 80 GB each. EC2 has some 800 others, which are told where they are asked for."""

API_REGIONS = {"cn-": "cn-northwest-1"}
"""Where the Price List API is asked, by how the home region begins; elsewhere in us-east-1."""
FILTERS = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
"""A plain Linux machine, on demand, that runs."""


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


def regular_zones(region: str, zones: Iterable[str]) -> tuple[str, ...]:
    """Availability zones proper, sorted: no Local or Wavelength Zones, whose names are longer."""
    return tuple(sorted({zone for zone in zones if re.fullmatch(rf"{re.escape(region)}[a-z]", zone)}))


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


def list_prices(client: AwsClient, sku: str) -> dict[str, Decimal]:
    """Region → USD per hour on demand. Raises CloudError."""
    home = client.config.home
    region = next((there for begins, there in API_REGIONS.items() if home.startswith(begins)), "us-east-1")
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value}
        for name, value in ({**FILTERS, "instanceType": sku}).items()
    ]
    answer = client.ask("pricing", "get_products", region, ServiceCode="AmazonEC2", Filters=filters)
    return read(answer["PriceList"])


def read(price_list: Iterable[str]) -> dict[str, Decimal]:
    """The same from the documents of the answer, each a product as JSON. Capacity blocks and Local Zones are left out;
    of several prices in a region the dearest counts."""
    found: dict[str, Decimal] = {}
    for text in price_list:
        document = json.loads(text)
        about = document["product"]["attributes"]
        if about.get("marketoption", "OnDemand") != "OnDemand" or about.get("locationType") != "AWS Region":
            continue
        for usd_per_hour in _hourly(document["terms"].get("OnDemand", {})):
            region = about["regionCode"]
            found[region] = max(usd_per_hour, found.get(region, usd_per_hour))
    return found


def _hourly(terms: Mapping[str, Any]) -> list[Decimal]:
    prices = [price for term in terms.values() for price in term["priceDimensions"].values()]
    amounts = [
        Decimal(price["pricePerUnit"]["USD"])
        for price in prices
        if price["unit"] == "Hrs" and "USD" in price["pricePerUnit"]
    ]
    return [amount.normalize() for amount in amounts if amount > 0]  # AWS pads with zeros
