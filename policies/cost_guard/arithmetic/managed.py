"""What a million displaced tokens cost at the managed API: given, or blended of the catalogue's models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

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


@dataclass(frozen=True, slots=True)
class PricedRoute:
    """Tokens that a managed model serves, and what they cost there."""

    share: Fraction
    """Of all tokens, displaced or not."""
    usd_per_million: Fraction


@dataclass(frozen=True, slots=True)
class DisplacedVolume:
    """What self-hosting displaces, and its routes from the dearest on."""

    volume: Fraction
    """V: tokens per month."""
    usd_per_million: Fraction
    """p: of all of it."""
    routes: tuple[tuple[Fraction, Fraction], ...]
    """Tokens per month and USD per million of each route."""

    def saved(self, volume: Fraction) -> Fraction:
        """What so many tokens, at most V, cost managed in USD per month: the dearest route is displaced first."""
        total = Fraction(0)
        for tokens, usd_per_million in self.routes:
            taken = min(tokens, volume)
            total, volume = total + taken * usd_per_million / 10**6, volume - taken
        return total


def displaced(tokens_per_month: Fraction, routes: Sequence[PricedRoute]) -> DisplacedVolume:
    """δ = Σ share, V = δ·tokens, p = Σ share·route/δ; a ValueError where nothing is displaced."""
    share = sum((route.share for route in routes), Fraction(0))
    if share <= 0:
        raise ValueError("no route is displaced, so there is nothing to self-host; set displaced: true on one")
    blended = sum((route.share * route.usd_per_million for route in routes), Fraction(0)) / share
    dearest = sorted(routes, key=lambda route: -route.usd_per_million)
    volumes = tuple((route.share * tokens_per_month, route.usd_per_million) for route in dearest)
    return DisplacedVolume(share * tokens_per_month, blended, volumes)


def model_usd_per_million(
    input_usd: Fraction,
    cached_usd: Fraction | None,
    output_usd: Fraction,
    input_share: Fraction,
    cached_share: Fraction,
) -> Fraction:
    """π = r(1 − q)·in + r·q·cachedIn + (1 − r)·out, all USD per million tokens; without a cachedIn it is in."""
    cached = input_usd if cached_usd is None else cached_usd
    fresh = input_share * (1 - cached_share) * input_usd
    return fresh + input_share * cached_share * cached + (1 - input_share) * output_usd


def route_usd_per_million(
    model_usd: Fraction, discount: Fraction, batch_share: Fraction, batch_discount: Fraction
) -> Fraction:
    """π·(1 − discount)·(1 − batchShare·batchDiscount)."""
    return model_usd * (1 - discount) * (1 - batch_share * batch_discount)
