"""AWS' prices: on demand and reserved by its price list, spot by EC2. Its `offers` are on demand alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from cost_guard.catalogue.machines import load_machines
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.config import AwsConfig
from providers.errors import Unauthorized, Unavailable
from scripts.crossover.prices.diff import RowQuote

PRICE_LIST_REGION = "us-east-1"
"""The Price List API is served from a few regions only, and answers for all."""
DEFAULT_REGION = "us-east-1"
MONTHS = {"1yr": 12, "3yr": 36}


def quotes(skus: Mapping[str, str | None], machines: Mapping[str, str], today: date) -> list[RowQuote]:
    """Live prices of instance types, by SKU (an instance type, with -spot or -reserved-12m after it), given their
    regions and machines. One without either has that of another SKU of its type. Raises CloudError."""
    regions = {instance_type(sku): region for sku, region in skus.items() if region}
    rows = {sku: region or regions.get(instance_type(sku)) or DEFAULT_REGION for sku, region in skus.items()}
    client = AwsClient(AwsConfig.from_environment())
    found: dict[str, RowQuote] = {}
    try:
        for kind, region in sorted({(instance_type(sku), region) for sku, region in rows.items()}):
            listed = client.ask(
                "pricing", "get_products", PRICE_LIST_REGION, ServiceCode="AmazonEC2", Filters=_filters(kind, region)
            )
            products = map(json.loads, listed["PriceList"])
            found |= {quote.key: quote for quote in _listed(kind, region, products, today)}
            if f"{kind}-spot" in rows:
                found |= {quote.key: quote for quote in _spot(client, kind, region, today)}
    except (LookupError, ValueError, TypeError, AttributeError, InvalidOperation) as e:
        raise Unavailable(f"AWS did not answer as documented: {type(e).__name__}: {e}") from None
    kinds = {instance_type(sku): machine for sku, machine in machines.items()}
    return [
        _of_machine(quote, kinds.get(instance_type(quote.key.removeprefix("aws/")), "")) for quote in found.values()
    ]


def _of_machine(quote: RowQuote, machine: str) -> RowQuote:
    """With what is rented by that name, as a row of the same instance type says: the price list does not."""
    if not machine:
        return replace(quote, trouble=quote.trouble or "no row says which machine of gpus.toml it is: add it by hand")
    return replace(quote, gpus=load_machines()[machine].gpus, fields={"machine": machine, **quote.fields})


def instance_type(sku: str) -> str:
    """ "p4d.24xlarge-reserved-12m" → "p4d.24xlarge"."""
    return sku.partition("-")[0]


def _filters(kind: str, region: str) -> list[dict[str, str]]:
    wanted = {
        "instanceType": kind,
        "regionCode": region,
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",  # else Capacity Blocks come along
    }
    return [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]


def _listed(kind: str, region: str, products: Iterable[Any], today: date) -> list[RowQuote]:
    """On demand, and reserved without anything up front (standard class)."""
    prices: dict[str, list[Mapping[str, str]]] = {}
    terms: dict[str, dict[str, Any]] = {}
    for product in products:
        for offer in product["terms"].get("OnDemand", {}).values():
            prices.setdefault(f"aws/{kind}", []).append(_hourly(offer))
        for offer in product["terms"].get("Reserved", {}).values():
            said = offer["termAttributes"]
            months = MONTHS.get(said["LeaseContractLength"])
            if months and (said["OfferingClass"], said["PurchaseOption"]) == ("standard", "No Upfront"):
                key = f"aws/{kind}-reserved-{months}m"
                prices.setdefault(key, []).append(_hourly(offer))
                terms[key] = {"terms": "reserved", "commitmentMonths": months}
    source = "AWS Price List API, GetProducts, Linux, shared tenancy"
    return [_quote(key, told, {**terms.get(key, {}), "kind": "list"}, source, region, today)
            for key, told in prices.items()]  # fmt: skip


def _hourly(offer: Mapping[str, Any]) -> Mapping[str, str]:
    """Currency → price of the hour."""
    [found] = [d["pricePerUnit"] for d in offer["priceDimensions"].values() if d["unit"] == "Hrs"]
    price: Mapping[str, str] = found
    return price


def _spot(client: AwsClient, kind: str, region: str, today: date) -> list[RowQuote]:
    """The dearest zone's price of now: a fleet needs more than one zone. It takes a right that the price list does not,
    so that a refusal is this row's alone."""
    key = f"aws/{kind}-spot"
    try:
        answer = client.ask(
            "ec2", "describe_spot_price_history", region, InstanceTypes=[kind], ProductDescriptions=["Linux/UNIX"],
            StartTime=datetime.now(UTC),
        )  # fmt: skip
    except Unauthorized as e:
        return [RowQuote(key, {}, {}, trouble=str(e))]
    told = [Decimal(entry["SpotPrice"]) for entry in answer["SpotPriceHistory"]]
    source = "AWS EC2 API, DescribeSpotPriceHistory, Linux, the dearest zone"
    fields = {"kind": "live-seen", "terms": "spot"}
    return [_quote(key, [{"USD": str(max(told))}], fields, source, region, today)] if told else []


def _quote(
    key: str, told: list[Mapping[str, str]], fields: Mapping[str, Any], source: str, region: str, today: date
) -> RowQuote:
    says = {**fields, "region": region, "source": source, "date": today}
    foreign = sorted({currency for price in told for currency in price if "USD" not in price})
    if foreign:
        return RowQuote(key, {}, says, trouble=f"AWS tells its price in {', '.join(foreign)} and not in USD")
    found = {Decimal(price["USD"]) for price in told}
    if len(found) > 1:
        told_prices = ", ".join(f"{price:f}" for price in sorted(found))
        return RowQuote(key, {}, says, trouble=f"AWS names {len(found)} prices: {told_prices}")
    return RowQuote(key, {"usdPerHour": found.pop().normalize()}, says)
