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

from cost_guard.pack.fleet import FLEET_TYPE, fleet
from cost_guard.pack.rule import NoConfig, rule

if TYPE_CHECKING:
    from cost_guard.catalogue.catalogue import Catalogue

INTERRUPTIBLE = re.compile(r"(^|[-_./])(spot|interruptible|preemptible)($|[-_./])", re.IGNORECASE)
"""In the name of a SKU that the catalogue does not know."""


class Config(NoConfig):
    """`maxShare` of the fleet's nodes, between 0 and 1."""

    max_share: float = Field(0.5, ge=0, le=1)


def _check(args: ResourceValidationArgs, config: Config) -> Iterable[str]:
    wanted, catalogue = fleet(args)
    losses = [[_loss(key, catalogue) for key in keys] for keys in wanted.catalogue_keys]
    spot = [max(known) for node in losses if (known := [loss for loss in node if loss is not None])]
    share = len(spot) / wanted.node_count
    if share > config.max_share:
        yield (
            f"{len(spot)} of {wanted.node_count} nodes are on interruptible machines, {share:.1%}; "
            f"at most {config.max_share:.1%} may be"
        )
    away = max(1, ceil(max(spot) * len(spot))) if spot else 0
    if away > wanted.spare_nodes:
        yield f"{away} of {len(spot)} interruptible nodes may be away at once, and spareNodes is {wanted.spare_nodes}"


def _loss(key: str, catalogue: Catalogue) -> Decimal | None:
    """The share of the time for which it is away, 0 where that is not known; None for one that stays."""
    price = catalogue.prices.get(key)
    if price is not None and price.terms == "spot":
        return price.interruption_loss
    return Decimal(0) if INTERRUPTIBLE.search(key) else None


RULE = rule(
    "spot-share",
    Severity.HIGH,
    "Interruptible machines carry a bounded share of the fleet, and spare nodes cover their loss.",
    "Give nodes on-demand candidates instead, raise spareNodes, or configure another maxShare.",
    (FLEET_TYPE,),
    _check,
    Config,
)
