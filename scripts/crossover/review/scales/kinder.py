"""Which figures of a new stack are kinder to it than their defaults: nothing in the base tells what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.verdict.facts.managed import managed_facts
from cost_guard.wording import to_decimal
from scripts.crossover.review.scales.mixture import ChangedFigure

MORE, LESS, OTHER = "more", "less", "other"
KINDER: Mapping[str, Mapping[str, str]] = {
    "workload": {"growthPerMonth": MORE, "peakToMean": LESS, "prefixHitShare": OTHER},
    "fleet": {"targetUtilisation": MORE, "spareNodes": LESS, "maxPerFailureDomain": MORE},
    "overhead": {
        "engineerUsdPerMonth": LESS, "monitoringUsdPerMonth": LESS, "storageNetworkUsdPerMonth": LESS,
    },
    "horizon": {
        "months": OTHER, "residualUsd": MORE, "apiPriceDeclinePerYear": LESS, "discountRatePerYear": OTHER,
    },
    "uncertainty": {
        "draws": LESS, "seed": OTHER, "volume": LESS, "outlook": LESS, "throughput": OTHER, "nodePrice": OTHER,
        "apiPrice": LESS, "overhead": LESS,
    },
    "constraints": {"residency": OTHER, "fineTuned": OTHER},
}  # fmt: skip
"""Key → in which direction off its default it is kinder; OTHER is any, where that depends on the rest."""


def kinder_than_default(proposal: Proposal, catalogue: Catalogue) -> tuple[ChangedFigure, ...]:
    """The default as `before`; of a managed price what the catalogue has for its model, nothing where it has none."""
    found = [*_managed_price(proposal, catalogue)]
    for section, keys in KINDER.items():
        given = getattr(proposal.scenario, section)
        names = {field.alias or name: name for name, field in type(given).model_fields.items()}
        for key, direction in keys.items():
            now = getattr(given, names[key])
            before = type(given).model_fields[names[key]].default
            if now != before and _is(direction, now, before):
                found.append(ChangedFigure(f"{section}.{key}", "" if before is None else str(before), str(now)))
    return tuple(found)


def _managed_price(proposal: Proposal, catalogue: Catalogue) -> Iterator[ChangedFigure]:
    """A price that is given is kinder where it is above its model's, or where no row says what that is."""
    given = proposal.scenario.managed.usd_per_million_tokens
    if given is None:
        return
    known = managed_facts(proposal.scenario, catalogue).model_usd_per_million
    if known is None or given > known:
        before = "" if known is None else f"{to_decimal(known):f}"
        yield ChangedFigure("managed.usdPerMillionTokens", before, f"{given:f}")


def _is(direction: str, now: object, before: object) -> bool:
    if direction == OTHER or not isinstance(now, int | Decimal) or not isinstance(before, int | Decimal):
        return True
    return now > before if direction == MORE else now < before
