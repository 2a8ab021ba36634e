"""Rule spot-share: machines that may be taken away carry at most a share of the fleet, and the spares cover their loss.

A node counts as interruptible if any of its candidates is. How many may be away at once is the catalogue's
interruptionLoss of the worst of them, times their number, at least one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from pulumi_policy import ResourceValidationArgs, Severity
from pydantic import Field

from .fleet_rule import FLEET_TYPE, ladder
from .rule import NoConfig, rule

if TYPE_CHECKING:
    from cost_guard.fleet import Candidate
    from cost_guard.prices import Catalogue

INTERRUPTIBLE = re.compile(r"(^|[-_./])(spot|interruptible|preemptible)($|[-_./])")
"""In the name of a SKU that the catalogue does not know."""


class Config(NoConfig):
    """`maxShare` of the fleet's nodes, between 0 and 1."""

    max_share: float = Field(0.5, ge=0, le=1)


def _check(args: ResourceValidationArgs, config: Config) -> Iterable[str]:
    fleet, catalogue = ladder(args)
    if fleet is None:
        return
    losses = [[_loss(rung, catalogue) for rung in node.candidates] for node in fleet.nodes.values()]
    spot = [max(known) for node in losses if (known := [loss for loss in node if loss is not None])]
    share = len(spot) / fleet.node_count
    if share > config.max_share:
        yield (
            f"{len(spot)} of {fleet.node_count} nodes are on interruptible machines, {share:.0%}; "
            f"at most {config.max_share:.0%} may be"
        )
    away = max(1, ceil(max(spot) * len(spot))) if spot else 0
    if away > fleet.spare_nodes:
        yield f"{away} of {len(spot)} interruptible nodes may be away at once, and spareNodes is {fleet.spare_nodes}"


def _loss(rung: Candidate, catalogue: Catalogue) -> Decimal | None:
    """The share of the time for which it is away, 0 where that is not known; None for one that stays."""
    price = catalogue.prices.get(rung.catalogue_key)
    if price is not None and price.terms == "spot":
        return price.interruption_loss
    return Decimal(0) if INTERRUPTIBLE.search(rung.sku) else None


RULE = rule(
    "spot-share",
    Severity.HIGH,
    "Interruptible machines carry a bounded share of the fleet, and spare nodes cover their loss.",
    "Give nodes on-demand candidates instead, raise spareNodes, or configure another maxShare.",
    (FLEET_TYPE,),
    _check,
    Config,
)
