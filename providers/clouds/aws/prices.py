"""AWS' list prices: of an instance by the Price List API, of a volume by a constant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from providers.clouds.aws.client import AwsClient

API_REGIONS = {"cn-": "cn-northwest-1"}
"""Where the Price List API is asked, by how the home region begins; elsewhere in us-east-1."""
FILTERS = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
"""A plain Linux machine, on demand, that runs."""
GP3_USD_PER_GIB_MONTH = Decimal("0.08")
"""gp3 in us-east-1 without extra IOPS: recalled, not looked up. It tells the order of what a lone volume costs."""
HOURS_PER_MONTH = 730


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


def volume_usd_per_hour(gib: int) -> Decimal:
    """What a volume costs that nothing uses."""
    return (GP3_USD_PER_GIB_MONTH * gib / HOURS_PER_MONTH).quantize(Decimal("0.000001"))
