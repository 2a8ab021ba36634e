"""The managed API of a scenario: what is displaced, at which price, and why the same weights are no option there."""

from __future__ import annotations

from datetime import date as calendar_day
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from cost_guard.scenario.sections.approval import Reason, Status, by_dates
from strict.fields import Day, Flag, Name, Section, Share
from strict.numbers import Number, refuse, shown
from strict.problems import about

UsdPerMillion = Annotated[
    Decimal,
    Number(at_least="0.0001", at_most="1e6", hint="the blended managed price in USD per million tokens, e.g. 5.0"),
]
NOT_SAME_WEIGHTS_DAYS = 365
"""How long somebody's word holds that the API with the same weights is no option."""


class Route(Section):
    """A share of all tokens and the managed model that serves it."""

    model: Name
    """The key of a row of data/managed.toml."""
    share: Share
    displaced: Flag = True
    """Whether the fleet takes it over; what is not displaced stays managed and is in no figure."""
    discount: Annotated[Decimal, Number(at_least="0", below="1", hint="0.1 means 10 % off the row's price")] = Decimal(
        0
    )
    batch_share: Share = Decimal(0)
    """Of the route's tokens, those that the vendor's batch API serves, at its discount."""


class NotSameWeights(Section):
    """Who says why an API with the weights that the nodes serve is no option."""

    reason: Reason
    approved_by: Name
    date: Day

    @property
    def until(self) -> calendar_day:
        """The last day on which it holds."""
        return self.date + timedelta(days=NOT_SAME_WEIGHTS_DAYS)

    def status(self, today: calendar_day) -> Status:
        """It holds from its day on, for NOT_SAME_WEIGHTS_DAYS days."""
        return by_dates(self.date, self.until, today)

    def holds(self, today: calendar_day) -> bool:
        """Whether that is valid."""
        return self.status(today) is Status.VALID


class Managed(Section):
    """The managed API that is displaced: its blended price, or the models of which the catalogue knows the prices."""

    usd_per_million_tokens: UsdPerMillion | None = None
    model: Name | None = None
    """Whose price that is, a row of data/managed.toml, to set it against."""
    source: Name | None = None
    """Of the price: an invoice, a contract."""
    date: Day | None = None
    """Of the source."""
    routes: Annotated[tuple[Route, ...], Field(min_length=1)] | None = None
    not_same_weights: NotSameWeights | None = None

    @field_validator("routes")
    @classmethod
    def _shares_are_a_whole(cls, routes: tuple[Route, ...] | None) -> tuple[Route, ...] | None:
        if routes is None:
            return None
        models = [(route.model, route.displaced) for route in routes]
        if twice := [model for model in models if models.count(model) > 1]:
            name, displaced = twice[0]
            where = "displaced" if displaced else "not displaced"
            raise refuse(f"{shown(name)} stands twice as {where}; give each model one share of each kind")
        total = sum(route.share for route in routes)
        if total != 1:
            off = f"{1 - total:f} short" if total < 1 else f"{total - 1:f} too much"
            raise refuse(f"the shares must sum to 1, they sum to {total:f}: {off}")
        if not any(route.displaced and route.share for route in routes):
            raise refuse("nothing is displaced; say displaced: true of the routes that the fleet takes over")
        return routes

    @model_validator(mode="after")
    def _one_price(self) -> Managed:
        if (self.usd_per_million_tokens is None) == (self.routes is None):
            raise refuse("give exactly one of usdPerMillionTokens, the blended price, and routes, models with shares")
        if self.routes is not None:
            for key in ("model", "source", "date"):
                if getattr(self, key) is not None:
                    raise about(key, "is said of usdPerMillionTokens; a route's price comes from its model's row")
        return self

    @property
    def displaced_share(self) -> Decimal:
        """δ: the share of all tokens that the fleet takes over."""
        if self.routes is None:
            return Decimal(1)
        return sum((route.share for route in self.routes if route.displaced), Decimal(0))
