"""Which figures of a new stack are kinder to it than their defaults: nothing in the base tells what they were."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from cost_guard.scenario.proposal import Proposal
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


def kinder_than_default(proposal: Proposal) -> tuple[ChangedFigure, ...]:
    """The default as `before`."""
    found = []
    for section, keys in KINDER.items():
        given = getattr(proposal.scenario, section)
        names = {field.alias or name: name for name, field in type(given).model_fields.items()}
        for key, direction in keys.items():
            now = getattr(given, names[key])
            before = type(given).model_fields[names[key]].default
            if now != before and _is(direction, now, before):
                found.append(ChangedFigure(f"{section}.{key}", "" if before is None else str(before), str(now)))
    return tuple(found)


def _is(direction: str, now: object, before: object) -> bool:
    if direction == OTHER or not isinstance(now, int | Decimal) or not isinstance(before, int | Decimal):
        return True
    return now > before if direction == MORE else now < before
