"""What AWS asks for instances: on demand and reserved by its price list, spot by EC2. AWS is no `Cloud` with offers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from providers.errors import CloudError, Unauthorized, Unavailable
from scripts.crossover.prices.diff import Quote

PRICE_LIST_REGION = "us-east-1"
"""The Price List API is served from a few regions only, and answers for all."""
TIMEOUT_S = 30
MONTHS = {"1yr": 12, "3yr": 36}
GPUS = 8
"""Of every P4 instance."""


def quotes(rows: Mapping[str, str], today: date) -> list[Quote]:
    """Live prices of instance types. `rows` are SKUs (an instance type, with -spot or -reserved-12m after it) and
    their regions. Raises Unauthorized, Unavailable."""
    import boto3  # 0.4 s
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"max_attempts": 3})
    found: dict[str, Quote] = {}
    try:
        lister = boto3.client("pricing", region_name=PRICE_LIST_REGION, config=config)
        for kind, region in sorted({(instance_type(sku), region) for sku, region in rows.items()}):
            pages = lister.get_paginator("get_products").paginate(
                ServiceCode="AmazonEC2", Filters=_filters(kind, region)
            )
            products = [json.loads(text) for page in pages for text in page["PriceList"]]
            found |= {quote.key: quote for quote in _listed(kind, region, products, today)}
            if f"{kind}-spot" in rows:
                ec2 = boto3.client("ec2", region_name=region, config=config)
                history = ec2.describe_spot_price_history(
                    InstanceTypes=[kind], ProductDescriptions=["Linux/UNIX"], StartTime=datetime.now(UTC)
                )["SpotPriceHistory"]
                found |= {quote.key: quote for quote in _spot(kind, region, history, today)}
    except (NoCredentialsError, PartialCredentialsError) as e:
        raise Unauthorized(f"no AWS credentials ({e}): see docs/reference/clouds/aws.md") from None
    except ClientError as e:
        raise _refused(e) from None
    except (BotoCoreError, LookupError, ValueError, TypeError, AttributeError, InvalidOperation) as e:
        raise Unavailable(f"AWS did not answer as documented: {type(e).__name__}: {e}") from None
    return list(found.values())


def instance_type(sku: str) -> str:
    """ "p4d.24xlarge-reserved-12m" → "p4d.24xlarge"."""
    return sku.partition("-")[0]


def _refused(error: Any) -> CloudError:
    code = error.response.get("Error", {}).get("Code", "")
    words = f"AWS refuses {error.operation_name} ({code})"
    denied = ("AccessDeniedException", "UnauthorizedOperation", "UnrecognizedClientException", "ExpiredTokenException")
    if code in denied or code.startswith("InvalidClientToken"):
        return Unauthorized(f"{words}: the rights pricing:GetProducts and ec2:DescribeSpotPriceHistory are needed")
    return Unavailable(words)


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


def _listed(kind: str, region: str, products: Iterable[Any], today: date) -> list[Quote]:
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


def _spot(kind: str, region: str, history: Iterable[Mapping[str, Any]], today: date) -> list[Quote]:
    """The dearest zone's price of now: a fleet needs more than one zone."""
    told = [Decimal(entry["SpotPrice"]) for entry in history]
    source = "AWS EC2 API, DescribeSpotPriceHistory, Linux, the dearest zone"
    fields = {"kind": "live-seen", "terms": "spot"}
    return [_quote(f"aws/{kind}-spot", [{"USD": str(max(told))}], fields, source, region, today)] if told else []


def _quote(
    key: str, told: list[Mapping[str, str]], fields: Mapping[str, Any], source: str, region: str, today: date
) -> Quote:
    says = {**fields, "region": region, "source": source, "date": today}
    foreign = sorted({currency for price in told for currency in price if "USD" not in price})
    if foreign:
        return Quote(key, {}, says, GPUS, f"AWS tells its price in {', '.join(foreign)} and not in USD")
    found = {Decimal(price["USD"]) for price in told}
    if len(found) > 1:
        return Quote(
            key, {}, says, GPUS, f"AWS names {len(found)} prices: {', '.join(f'{p:f}' for p in sorted(found))}"
        )
    return Quote(key, {"usdPerHour": found.pop().normalize()}, says, GPUS)
