"""What the clouds ask for nodes now, as quotes for the rows of prices.toml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from cost_guard.catalogue.catalogue import Price
from cost_guard.catalogue.machines import load_machines
from cost_guard.units import HOURS_PER_MONTH
from providers import registry
from providers.base import Capability, Offer
from providers.clouds.aws import NAME as AWS
from providers.errors import CloudError, InvalidRequest, Unauthorized
from scripts.crossover.prices import aws
from scripts.crossover.prices.diff import Figures, RowQuote
from scripts.crossover.shell.clouds import CloudAnswer, ask

ANY = "any"
"""The region of a cloud that chooses itself."""
INTERRUPTIBLE = ("-spot", "-interruptible")
"""How a SKU's name ends, at clouds that rent it out so."""
PriceList = Callable[[Mapping[str, str | None], Mapping[str, str], date], Sequence[RowQuote]]
"""Of SKUs with their regions, SKUs with their machines, and today."""
PRICE_LISTS: Mapping[str, PriceList] = {AWS: aws.quotes}
"""The clouds whose prices stand in a list of its own: their offers tell on-demand prices alone."""


def renting() -> list[str]:
    """The clouds that have prices to ask for: not those whose machines are there already."""
    found = []
    for name in sorted(registry.CLOUDS):
        if not registry.capabilities(name) & {Capability.OWNED, Capability.BILLS_NOTHING}:
            found.append(name)
    return found


def ask_all(
    names: Iterable[str], prices: Mapping[str, Price], accepted: Iterable[str], today: date
) -> list[CloudAnswer[RowQuote]]:
    """One answer for each cloud. Raises InvalidRequest for a name that has no prices to ask for."""
    wanted = sorted(set(names))
    if unknown := [name for name in wanted if name not in renting()]:
        raise InvalidRequest(f"no prices can be asked of {unknown[0]!r}: choose of {', '.join(renting())}")
    answers = [
        CloudAnswer(one.cloud, tuple(_quotes(one.found, prices, today)), one.missing, one.failed)
        for one in ask(lambda cloud: cloud.offers(), [name for name in wanted if name not in PRICE_LISTS])
    ]
    answers += [_listed(name, prices, accepted, today) for name in wanted if name in PRICE_LISTS]
    return sorted(answers, key=lambda answer: answer.cloud)


def refreshable(prices: Mapping[str, Price], clouds: Iterable[str]) -> dict[str, Figures]:
    """The rows of these clouds as figures by the hour. A contract's price is not the market's, and is left alone."""
    known = set(clouds)
    return {
        key: {"usdPerHour": row.usd_per_hour if row.usd_per_hour is not None else row.usd_per_month / HOURS_PER_MONTH}
        for key, row in prices.items()
        if key.partition("/")[0] in known and row.kind != "contract"
    }


def _listed(cloud: str, prices: Mapping[str, Price], accepted: Iterable[str], today: date) -> CloudAnswer[RowQuote]:
    """Of a cloud that must be asked for each SKU: those that have a row, and those that are to have one."""
    own = f"{cloud}/"
    regions = {key: prices[key].region if key in prices else None for key in (*prices, *accepted)}
    skus = {key.removeprefix(own): region for key, region in regions.items() if key.startswith(own)}
    machines = {sku: prices[own + sku].machine for sku in skus if own + sku in prices}
    try:
        return CloudAnswer(cloud, tuple(PRICE_LISTS[cloud](skus, machines, today)))
    except Unauthorized as e:
        return CloudAnswer(cloud, missing=str(e))
    except CloudError as e:
        return CloudAnswer(cloud, failed=str(e))


def _quotes(offers: Sequence[Offer], prices: Mapping[str, Price], today: date) -> list[RowQuote]:
    by_key: dict[str, list[tuple[Decimal, Offer]]] = {}
    for offer in offers:
        if offer.usd_per_hour is not None:
            by_key.setdefault(f"{offer.cloud}/{offer.sku}", []).append((offer.usd_per_hour, offer))
    return [_quote(key, found, key in prices, today) for key, found in by_key.items()]


def _quote(key: str, offers: Sequence[tuple[Decimal, Offer]], known: bool, today: date) -> RowQuote:
    """The price where the cloud chooses the region, else the dearest region's: one row stands for all of them. What has
    no row yet is told its machine, which a refresh leaves as it is."""
    anywhere = [(price, offer) for price, offer in offers if offer.region == ANY]
    usd_per_hour, chosen = anywhere[0] if anywhere else max(offers, key=lambda priced: priced[0])
    what = f" ({chosen.description})" if chosen.description else ""
    fields: dict[str, Any] = {
        "date": today,
        "kind": "live-seen",
        "source": f"the API of {chosen.cloud}, region {chosen.region}{what}, by `crossover prices refresh`",
    }
    if chosen.sku.endswith(INTERRUPTIBLE):
        fields["terms"] = "spot"
    if not known:
        fields["machine"] = machine_of(chosen)
    trouble = "" if known or fields["machine"] else "no GPU of gpus.toml is recognised in it: add the row by hand"
    return RowQuote(key, {"usdPerHour": usd_per_hour}, fields, chosen.gpus, trouble)


def machine_of(offer: Offer) -> str:
    """The machine of gpus.toml that an offer is: as many GPUs, and each part of the GPU's name ("a100", "sxm", "80gb")
    in its SKU or description, or told as its memory. Empty where none is."""
    said = f"{offer.sku} {offer.description} {offer.gpu_memory_gib}gb".lower()
    found = [
        machine.key
        for machine in load_machines().values()
        if machine.gpus == offer.gpus and all(part in said for part in machine.key.split("-")[1:])
    ]
    return found[0] if len(found) == 1 else ""
