"""What a million displaced tokens cost at the managed API: given, or blended of the catalogue's models."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cost_guard.catalogue.catalogue import Catalogue, ManagedRates
from cost_guard.scenario.scenario import Scenario


@dataclass(frozen=True)
class RoutePrice:
    """One route with its row of the catalogue."""

    row: ManagedRates
    share: Decimal
    """Of the displaced tokens."""
    usd_per_million: Decimal
    """At the workload's shares of input and of cached input."""


@dataclass(frozen=True)
class ManagedPrice:
    """The blended price; None where a model has no row, or where the routes cost nothing."""

    usd_per_million: Decimal | None
    routes: tuple[RoutePrice, ...] = ()
    """Empty where the scenario gives the price."""
    missing: tuple[str, ...] = ()
    """Models that have no row."""

    @property
    def costs_nothing(self) -> bool:
        """Every model has a row, and the blend of them is no price."""
        return self.usd_per_million is None and bool(self.routes)


def managed_price(scenario: Scenario, catalogue: Catalogue) -> ManagedPrice:
    """p = Σ share·[(in − cached)·p_in + cached·p_cache + out·p_out]."""
    given, work = scenario.managed, scenario.workload
    if given.routes is None:
        return ManagedPrice(given.usd_per_million_tokens)
    if missing := tuple(route.model for route in given.routes if route.model not in catalogue.managed):
        return ManagedPrice(None, missing=missing)
    routes = tuple(
        RoutePrice(row, route.share, row.blended(work.input_share, work.cached_share))
        for route in given.routes
        if route.displaced
        for row in [catalogue.managed[route.model]]
    )
    price = sum((route.share * route.usd_per_million for route in routes), Decimal(0)) / given.displaced_share
    return ManagedPrice(price if price > 0 else None, routes)
