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

from pydantic import Field

from cost_guard.codes import Severity
from cost_guard.pack.fleet import fleet_of
from cost_guard.pack.rule import NoConfig, ResourceRule
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import ResourceValidationArgs

    from cost_guard.catalogue.catalogue import Catalogue

INTERRUPTIBLE = re.compile(r"(^|[-_./])(spot|interruptible|preemptible)($|[-_./])", re.IGNORECASE)
"""In the name of a SKU that the catalogue does not know."""


class SpotShareConfig(NoConfig):
    """`maxShare` of the fleet's nodes, between 0 and 1."""

    max_share: float = Field(0.5, ge=0, le=1)


def _check(args: ResourceValidationArgs, config: SpotShareConfig) -> Iterable[str]:
    wanted, catalogue = fleet_of(args)
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
        return price.known_loss
    return Decimal(0) if INTERRUPTIBLE.search(key) else None


RULE = ResourceRule(
    code="spot-share",
    position=110,
    severity=Severity.HIGH,
    demand="Interruptible machines carry a bounded share of the fleet, and spare nodes cover their loss.",
    remedy="Give nodes on-demand candidates instead, raise spareNodes, or configure another maxShare.",
    looks_at=(names.FLEET,),
    check=_check,
    config=SpotShareConfig,
)
