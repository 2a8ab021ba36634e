"""What a million displaced tokens cost at the managed API: given, or blended of the catalogue's models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


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
