"""What the clouds ask for nodes now, as quotes for the rows of prices.toml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from cost_guard.arithmetic.capacity import HOURS_PER_MONTH
from cost_guard.catalogue.catalogue import Price
from providers import registry
from providers.base import Capability, Offer
from providers.clouds.aws import NAME as AWS
from providers.errors import CloudError, InvalidRequest, Unauthorized
from scripts.crossover.prices import aws
from scripts.crossover.prices.diff import Figures, Quote
from scripts.crossover.shell.clouds import Answer, ask

ANY = "any"
"""The region of a cloud that chooses itself."""
INTERRUPTIBLE = ("-spot", "-interruptible")
"""How a SKU's name ends, at clouds that rent it out so."""
DEFAULT_REGION = "us-east-1"


def renting() -> list[str]:
    """The clouds that have prices to ask for: not those whose machines are there already."""
    found = []
    for name in sorted(registry.CLOUDS):
        if not registry.capabilities(name) & {Capability.OWNED, Capability.BILLS_NOTHING}:
            found.append(name)
    return found


def ask_all(
    names: Iterable[str], prices: Mapping[str, Price], accepted: Iterable[str], today: date
) -> list[Answer[Quote]]:
    """One answer for each cloud. Raises InvalidRequest for a name that has no prices to ask for."""
    wanted = sorted(set(names))
    if unknown := [name for name in wanted if name not in renting()]:
        raise InvalidRequest(f"no prices can be asked of {unknown[0]!r}: choose of {', '.join(renting())}")
    listing = [name for name in wanted if not registry.can(name, Capability.DECLARED)]
    answers = [
        Answer(one.cloud, tuple(_quotes(one.found, today)), one.missing, one.failed)
        for one in ask(lambda cloud: cloud.offers(), listing)
    ]
    if AWS in wanted:
        answers.append(_aws(prices, accepted, today))
    return sorted(answers, key=lambda answer: answer.cloud)


def refreshable(prices: Mapping[str, Price], clouds: Iterable[str]) -> dict[str, Figures]:
    """The rows of these clouds as figures by the hour. A contract's price is not the market's, and is left alone."""
    known = set(clouds)
    return {
        key: {"usdPerHour": row.usd_per_hour if row.usd_per_hour is not None else row.usd_per_month / HOURS_PER_MONTH}
        for key, row in prices.items()
        if key.partition("/")[0] in known and row.kind != "contract"
    }


def _aws(prices: Mapping[str, Price], accepted: Iterable[str], today: date) -> Answer[Quote]:
    rows = {key: row.region for key, row in prices.items()}
    keys = [key for key in (*rows, *accepted) if key.startswith("aws/")]
    regions = {aws.instance_type(key): rows[key] for key in keys if rows.get(key)}
    skus = {
        key.removeprefix("aws/"): rows.get(key) or regions.get(aws.instance_type(key)) or DEFAULT_REGION for key in keys
    }
    try:
        return Answer(AWS, tuple(aws.quotes(skus, today)))
    except Unauthorized as e:
        return Answer(AWS, missing=str(e))
    except CloudError as e:
        return Answer(AWS, failed=str(e))


def _quotes(offers: Sequence[Offer], today: date) -> list[Quote]:
    by_key: dict[str, list[tuple[Decimal, Offer]]] = {}
    for offer in offers:
        if offer.usd_per_hour is not None:
            by_key.setdefault(f"{offer.cloud}/{offer.sku}", []).append((offer.usd_per_hour, offer))
    return [_quote(key, found, today) for key, found in by_key.items()]


def _quote(key: str, offers: Sequence[tuple[Decimal, Offer]], today: date) -> Quote:
    """The price where the cloud chooses the region, else the dearest region's: one row stands for all of them."""
    anywhere = [(price, offer) for price, offer in offers if offer.region == ANY]
    usd_per_hour, chosen = anywhere[0] if anywhere else max(offers, key=lambda priced: priced[0])
    what = f" ({chosen.description})" if chosen.description else ""
    fields = {
        "date": today,
        "kind": "live-seen",
        "source": f"the API of {chosen.cloud}, region {chosen.region}{what}, by `crossover prices refresh`",
    }
    if chosen.sku.endswith(INTERRUPTIBLE):
        fields["terms"] = "spot"
    return Quote(key, {"usdPerHour": usd_per_hour}, fields, chosen.gpus)
