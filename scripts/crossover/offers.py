"""`crossover offers`: what can be had now, where, and at what price."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer
from cost_guard.capacity import HOURS_PER_MONTH

from providers.base import Offer
from providers.errors import InvalidRequest
from scripts.crossover.clouds import Answer, ask
from scripts.crossover.output import console, emit_json, right_aligned, styled, table
from scripts.crossover.stack import AsJson


def command(
    cloud: Annotated[str | None, typer.Option("--cloud", "-c", help="Ask this cloud alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """All that every configured cloud rents out, cheapest first. Exits 1 if one that was to answer could not."""
    try:
        answers = ask(lambda asked: asked.offers(), None if cloud is None else [cloud])
    except InvalidRequest as e:
        print(f"crossover: {e}", file=sys.stderr)
        raise typer.Exit(1) from None
    offers = cheapest_first(answers)
    if as_json:
        troubled = [{"cloud": answer.cloud, **answer.trouble} for answer in answers if answer.trouble]
        emit_json({"offers": [_plain(offer) for offer in offers], "notAsked": troubled})
    else:
        _show(offers, answers)
    raise typer.Exit(1 if any(answer.failed or (cloud and answer.missing) for answer in answers) else 0)


def cheapest_first(answers: Sequence[Answer[Offer]]) -> list[Offer]:
    """By price; among equals what is available first, then by name."""
    offers = [offer for answer in answers for offer in answer.found]
    return sorted(offers, key=lambda o: (o.usd_per_hour, not o.available, o.cloud, o.sku, o.region))


def usd_per_month(usd_per_hour: Decimal) -> Decimal:
    """× 730 h, as the gate counts."""
    return usd_per_hour * HOURS_PER_MONTH


def _plain(offer: Offer) -> dict[str, Any]:
    return {
        "cloud": offer.cloud,
        "region": offer.region,
        "sku": offer.sku,
        "gpus": offer.gpus,
        "gpuMemoryGib": offer.gpu_memory_gib,
        "usdPerHour": f"{offer.usd_per_hour:f}",
        "usdPerMonth": f"{usd_per_month(offer.usd_per_hour):f}",
        "available": offer.available,
        "description": offer.description,
    }


def _show(offers: Sequence[Offer], answers: Sequence[Answer[Offer]]) -> None:
    shown = table("cloud", "region", "SKU", "GPUs × GiB", "USD/h", "USD/month", "free")
    right_aligned(shown, "USD/h", "USD/month")
    for o in offers:
        gpus = f"{o.gpus} × {o.gpu_memory_gib}" if o.gpus else "none"
        month = f"{usd_per_month(o.usd_per_hour):,.0f}"
        free = styled("PASS", "yes") if o.available else styled("FAIL", "no")
        shown.add_row(o.cloud, o.region, o.sku, gpus, f"{o.usd_per_hour:.2f}", month, free)
    if offers:
        console().print(shown)
    for answer in answers:
        for state, reason in answer.trouble.items():
            words = {"missing": "not configured", "failed": "could not be asked"}[state]
            print(f"{answer.cloud}: {words}: {reason}", file=sys.stderr)
