"""What a million displaced tokens cost at the managed API: given, or blended of the catalogue's models."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches

from cost_guard.catalogue.catalogue import Catalogue, ManagedModel
from cost_guard.scenario.scenario import Scenario

SUGGESTIONS = 3


@dataclass(frozen=True)
class RoutedModel:
    """One route with its row of the catalogue."""

    row: ManagedModel
    share: Decimal
    """Of the displaced tokens."""
    usd_per_million: Decimal
    """At the workload's shares of input and of cached input."""


@dataclass(frozen=True)
class ManagedPrice:
    """The blended price; None, with the reason in `unknown`, where a model has no row."""

    usd_per_million: Decimal | None
    routes: tuple[RoutedModel, ...] = ()
    """Empty where the scenario gives the price."""
    unknown: str = ""


def managed_price(scenario: Scenario, catalogue: Catalogue) -> ManagedPrice:
    """p = Σ share·[(in − cached)·p_in + cached·p_cache + out·p_out]."""
    given, work = scenario.managed, scenario.workload
    if given.routes is None:
        return ManagedPrice(given.usd_per_million_tokens)
    if missing := [route.model for route in given.routes if route.model not in catalogue.managed]:
        return ManagedPrice(None, unknown=" ".join(_missing(model, catalogue) for model in missing))
    routes = tuple(
        RoutedModel(row, route.share, row.blended(work.input_share, work.cached_share))
        for route in given.routes
        for row in [catalogue.managed[route.model]]
    )
    price = sum((route.share * route.usd_per_million for route in routes), Decimal(0))
    if price <= 0:
        return ManagedPrice(None, routes, "managed.routes cost nothing at these shares of input and cached input.")
    return ManagedPrice(price, routes)


def _missing(model: str, catalogue: Catalogue) -> str:
    near = get_close_matches(model, catalogue.managed, n=SUGGESTIONS, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(catalogue.managed))}."
    return f"no price is known for the managed model {model}; {hint}"
