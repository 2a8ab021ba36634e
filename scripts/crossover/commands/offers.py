"""All that every configured cloud rents out, cheapest first. Exits 1 if one that was to answer could not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.units import HOURS_PER_MONTH
from providers.base import Offer
from providers.errors import InvalidRequest
from scripts.crossover.shell.clouds import CloudAnswer, ask
from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import console, emit_json, failing, right_aligned, styled, table

FREE = {True: styled("PASS", "yes"), False: styled("FAIL", "no"), None: styled("WARN", "?")}


def command(
    cloud: Annotated[str | None, typer.Option("--cloud", "-c", help="Ask this cloud alone.")] = None,
    as_json: AsJson = False,
) -> None:
    with failing(InvalidRequest):
        answers = ask(lambda asked: asked.offers(), None if cloud is None else [cloud])
    offers = cheapest_first(answers)
    if as_json:
        troubled = [{"cloud": answer.cloud, **answer.trouble} for answer in answers if answer.trouble]
        emit_json({"offers": [_plain(offer) for offer in offers], "notAsked": troubled})
    else:
        _show(offers, answers)
    raise typer.Exit(1 if any(answer.failed or (cloud and answer.missing) for answer in answers) else 0)


def cheapest_first(answers: Sequence[CloudAnswer[Offer]]) -> list[Offer]:
    """By price, the catalogue's where the cloud tells none; among equals what is available first, then by name."""
    offers = [offer for answer in answers for offer in answer.found]
    return sorted(offers, key=lambda o: (_price(o), not o.available, o.cloud, o.sku, o.region))


def _price(offer: Offer) -> Decimal:
    """Infinite where nobody knows it."""
    known = offer.usd_per_hour if offer.usd_per_hour is not None else _catalogued(offer)
    return Decimal("Infinity") if known is None else known


def _catalogued(offer: Offer) -> Decimal | None:
    row = load_catalogue().prices.get(f"{offer.cloud}/{offer.sku}")
    return None if row is None else row.usd_per_hour


def usd_per_month(usd_per_hour: Decimal) -> Decimal:
    """× 730 h, as the gate counts."""
    return usd_per_hour * HOURS_PER_MONTH


def _plain(offer: Offer) -> dict[str, Any]:
    price = _price(offer)
    untold = not price.is_finite()
    source = "cloud" if offer.usd_per_hour is not None else None if untold else "catalogue"
    return {
        "cloud": offer.cloud,
        "region": offer.region,
        "zones": list(offer.zones),
        "sku": offer.sku,
        "gpus": offer.gpus,
        "gpuMemoryGib": offer.gpu_memory_gib,
        "usdPerHour": None if untold else f"{price:f}",
        "usdPerMonth": None if untold else f"{usd_per_month(price):f}",
        "priceSource": source,
        "available": offer.available,
        "description": offer.description,
    }


def _show(offers: Sequence[Offer], answers: Sequence[CloudAnswer[Offer]]) -> None:
    shown = table("cloud", "region", "SKU", "GPUs × GiB", "USD/h", "USD/month", "free")
    right_aligned(shown, "USD/h", "USD/month")
    for o in offers:
        gpus = f"{o.gpus} × {o.gpu_memory_gib}" if o.gpus else "none"
        price, guess = _price(o), "~" if o.usd_per_hour is None else ""
        hour, month = (
            (f"{guess}{price:.2f}", f"{guess}{usd_per_month(price):,.0f}") if price.is_finite() else ("?", "?")
        )
        region = f"{o.region} {' '.join(zone.removeprefix(o.region) for zone in o.zones)}".rstrip()
        shown.add_row(o.cloud, region, o.sku, gpus, hour, month, FREE[o.available])
    if offers:
        console().print(shown)
    _explain(offers)
    for answer in answers:
        for state, reason in answer.trouble.items():
            words = {"missing": "not configured", "failed": "could not be asked"}[state]
            print(f"{answer.cloud}: {words}: {reason}", file=sys.stderr)


def _explain(offers: Sequence[Offer]) -> None:
    """What the signs in the table mean, where there are any."""
    if any(o.available is None for o in offers):
        print("free ?: unknown until launch, because the cloud has no API that tells")
    for reason in dict.fromkeys(o.description for o in offers if o.usd_per_hour is None):
        print(f"USD ~: the gate's catalogue, not the cloud: {reason}", file=sys.stderr)
