"""What the displaced tokens cost at the managed API, given or blended; and what the same weights cost elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cost_guard.arithmetic.managed import (
    DisplacedVolume,
    PricedRoute,
    displaced,
    model_usd_per_million,
    route_usd_per_million,
)
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.catalogue.managed import ManagedRates
from cost_guard.scenario.scenario import Scenario
from cost_guard.scenario.sections.managed import Route
from cost_guard.scenario.sections.workload import Workload


@dataclass(frozen=True)
class RouteFacts:
    """One displaced route with its row of the catalogue."""

    route: Route
    row: ManagedRates
    usd_per_million: Fraction
    """At the workload's shape, with the route's discounts."""


@dataclass(frozen=True)
class SameWeightsFacts:
    """The cheapest API that serves the weights which the nodes would serve."""

    row: ManagedRates
    usd_per_million: Fraction
    """At the workload's shape."""


@dataclass(frozen=True)
class ManagedFacts:
    """`displaced` is None where a price is missing, or where the routes cost nothing."""

    displaced: DisplacedVolume | None
    routes: tuple[RouteFacts, ...] = ()
    """Those that are displaced; empty where the scenario gives the price."""
    missing: tuple[str, ...] = ()
    """Models that have no row."""
    batchless: tuple[str, ...] = ()
    """Models of which a batch share is asked for, and no batch price is known."""
    costs_nothing: bool = False
    """Every model has a row, and the blend of them is no price."""
    same_weights: SameWeightsFacts | None = None
    model_usd_per_million: Fraction | None = None
    """π of managed.model, what the given price is set against."""

    @property
    def usd_per_million(self) -> Fraction | None:
        """p."""
        return None if self.displaced is None else self.displaced.usd_per_million


def managed_facts(scenario: Scenario, catalogue: Catalogue) -> ManagedFacts:
    """Of the scenario's prices, and of the same weights."""
    given, work = scenario.managed, scenario.workload
    tokens, same = Fraction(work.tokens_per_month), _same_weights(work, catalogue)
    if given.routes is None:
        assert given.usd_per_million_tokens is not None
        reference = catalogue.managed.get(given.model or "")
        return ManagedFacts(
            displaced(tokens, [PricedRoute(Fraction(1), Fraction(given.usd_per_million_tokens))]),
            same_weights=same,
            model_usd_per_million=None if reference is None else price_of(reference, work),
        )
    moved = [route for route in given.routes if route.displaced]
    missing = tuple(dict.fromkeys(route.model for route in moved if route.model not in catalogue.managed))
    rows = [(route, catalogue.managed[route.model]) for route in moved if route.model in catalogue.managed]
    batchless = tuple(route.model for route, row in rows if route.batch_share and row.batch_discount is None)
    if missing or batchless:
        return ManagedFacts(None, missing=missing, batchless=batchless, same_weights=same)
    routes = tuple(RouteFacts(route, row, _route_price(route, row, work)) for route, row in rows)
    found = displaced(tokens, [PricedRoute(Fraction(one.route.share), one.usd_per_million) for one in routes])
    free = found.usd_per_million == 0
    return ManagedFacts(None if free else found, routes, costs_nothing=free, same_weights=same)


def price_of(row: ManagedRates, work: Workload) -> Fraction:
    """π: a million tokens of a model at the workload's shape, USD."""
    cached = row.cached_input_usd_per_million
    return model_usd_per_million(
        Fraction(row.input_usd_per_million),
        None if cached is None else Fraction(cached),
        Fraction(row.output_usd_per_million),
        Fraction(work.input_share),
        Fraction(work.cached_share),
    )


def _route_price(route: Route, row: ManagedRates, work: Workload) -> Fraction:
    batch = Fraction(row.batch_discount or 0)
    return route_usd_per_million(price_of(row, work), Fraction(route.discount), Fraction(route.batch_share), batch)


def _same_weights(work: Workload, catalogue: Catalogue) -> SameWeightsFacts | None:
    if work.model is None:
        return None
    found = [SameWeightsFacts(row, price_of(row, work)) for row in catalogue.same_weights(work.model)]
    return min(found, key=lambda one: (one.usd_per_million, one.row.key), default=None)
