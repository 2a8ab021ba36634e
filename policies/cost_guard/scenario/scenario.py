"""The scenario: what `crossover:*` in a stack's config and `crossover plan --file` say, parsed once and frozen.

Keys are camelCase outside and snake_case inside. Unknown keys are refused, so that a typo never falls back to a default
in silence. `proposal.parse_scenario` is the way in; it raises ScenarioError with one line for each thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cost_guard.scenario.fleet import FORMS, Fleet, fleet_forms
from strict.fields import Day, Flag, Name, NodeCount, Section, Share, Usd, UsdAboveZero, without_null
from strict.numbers import Number, Whole, refuse, shown
from strict.problems import Problems


class ScenarioError(Problems):
    """The gate cannot evaluate: the data is bad or missing."""


Sigma = Annotated[Decimal, Number(at_least="0", at_most="5", hint="the sigma of a log-normal, 0 for certainty")]
UsdPerMillion = Annotated[
    Decimal,
    Number(at_least="0.0001", at_most="1e6", hint="the blended managed price in USD per million tokens, e.g. 5.0"),
]
UNREAD = Decimal("NaN")
"""The volume of a scenario that names a usage file which nobody has read yet: no arithmetic succeeds on it."""


class _Volume(Number):
    def parse(self, value: object) -> Decimal:
        return UNREAD if value is UNREAD else super().parse(value)


# 1e16 tokens a month are 3.8e9 tokens/s: 800,000 nodes of 4,759 tokens/s. Anything above is a slip of the exponent.
TokensPerMonth = Annotated[
    Decimal, _Volume(at_least="1", at_most="1e16", hint="give the tokens of one month, input and output, e.g. 6e9")
]
PeakToMean = Annotated[
    Decimal, Number(at_least="1", at_most="1000", hint="the peak hour over the mean hour, at least 1")
]
MAX_GROWTH = Decimal("1e12")
"""A volume that grows more than this by the horizon's end is a slip of the unit."""

_MEASURED = ("kind", "inputShare", "cachedShare", "peakToMean")


class Workload(Section):
    """How many tokens, how spread, and how well known: exactly one of tokensPerMonth and usage says it."""

    tokens_per_month: TokensPerMonth
    usage: Name | None = None
    """Path of a usage file that is still to be read (`usage.with_usage`)."""
    kind: Literal["asserted", "forecast", "measured"] = "asserted"
    input_share: Share = Decimal("0.75")
    cached_share: Share = Decimal(0)
    peak_to_mean: PeakToMean = Decimal("1.3")
    growth_per_month: Annotated[Decimal, Number(above="-1", at_most="10", hint="0.15 means 15 % more each month")] = (
        Decimal(0)
    )
    displaced_share: Annotated[
        Decimal, Number(above="0", at_most="1", hint="the share of the volume that self-hosting replaces")
    ] = Decimal(1)

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, data: object) -> object:
        if not isinstance(data, Mapping) or data.get("usage") is None:
            return without_null(data, "usage")
        if "tokensPerMonth" in data:
            raise refuse("give exactly one of tokensPerMonth and usage, not both")
        if said := [key for key in _MEASURED if key in data]:
            raise refuse(f"the usage file says {', '.join(said)}; take it away here, or give tokensPerMonth instead")
        return {**data, "tokensPerMonth": UNREAD}

    @property
    def displaced_tokens_per_month(self) -> Decimal:
        """V of the arithmetic: the tokens that would move to the fleet. The rest stays managed on both sides."""
        return self.tokens_per_month * self.displaced_share


class Route(Section):
    """A share of the displaced tokens and the managed model that would serve it."""

    model: Name
    """The key of a row of data/managed.toml."""
    share: Share


class Managed(Section):
    """The managed API that is displaced: its blended price, or the models of which the catalogue knows the prices."""

    usd_per_million_tokens: UsdPerMillion | None = None
    routes: Annotated[tuple[Route, ...], Field(min_length=1)] | None = None

    @field_validator("routes")
    @classmethod
    def _shares_are_a_whole(cls, routes: tuple[Route, ...] | None) -> tuple[Route, ...] | None:
        if routes is None:
            return None
        models = [route.model for route in routes]
        if twice := [model for model in models if models.count(model) > 1]:
            raise refuse(f"{shown(twice[0])} stands twice; give each model one share")
        total = sum(route.share for route in routes)
        if total != 1:
            off = f"{1 - total:f} short" if total < 1 else f"{total - 1:f} too much"
            raise refuse(f"the shares must sum to 1, they sum to {total:f}: {off}")
        return routes

    @model_validator(mode="after")
    def _one_price(self) -> Managed:
        if (self.usd_per_million_tokens is None) == (self.routes is None):
            raise refuse("give exactly one of usdPerMillionTokens, the blended price, and routes, models with shares")
        return self


class Overhead(Section):
    """What self-hosting costs besides nodes, USD per month."""

    engineer_usd_per_month: Usd = Decimal(3500)
    monitoring_usd_per_month: Usd = Decimal(200)
    storage_network_usd_per_month: Usd = Decimal(400)
    understated_by: Annotated[
        Decimal, Number(at_least="0", at_most="0.99", hint="0.5 means the true overhead is twice the stated")
    ] = Decimal(0)

    @property
    def stated_usd_per_month(self) -> Decimal:
        """The sum before the correction; the true one is this over (1 − understatedBy)."""
        return self.engineer_usd_per_month + self.monitoring_usd_per_month + self.storage_network_usd_per_month


class Horizon(Section):
    """The months over which the costs are summed, and what changes in them."""

    months: Annotated[int, Whole(at_least="1", at_most="600", hint="e.g. 24")] = 24
    upfront_usd: Usd = Decimal(0)
    api_price_decline_per_year: Annotated[
        Decimal, Number(above="-1", below="1", hint="0.3 means 30 % cheaper each year")
    ] = Decimal(0)
    discount_rate_per_year: Annotated[Decimal, Number(at_least="-0.5", at_most="10", hint="e.g. 0.08")] = Decimal(0)


class Uncertainty(Section):
    """The sigmas of independent log-normals whose medians are the given values, and how many draws to take."""

    draws: Annotated[int, Whole(at_least="1", at_most="10000000", hint="e.g. 10000")] = 10000
    seed: Annotated[int, Whole(at_least="0", at_most="4294967295", hint="e.g. 7")] = 7
    volume: Sigma = Decimal("0.25")
    throughput: Sigma = Decimal("0.15")
    api_price: Sigma = Decimal("0.10")
    overhead: Sigma = Decimal("0.25")


class Constraints(Section):
    """What a price does not say."""

    residency: Flag = False
    fine_tuned: Flag = False
    existing_gpus: Flag = False
    ml_team: Flag = True
    budget_usd_per_month: UsdAboveZero | None = None


class Scenario(Section):
    """All of it. Build it with `proposal.parse_scenario`."""

    workload: Workload
    managed: Managed
    fleet: Fleet
    overhead: Overhead = Overhead()
    horizon: Horizon = Horizon()
    uncertainty: Uncertainty = Uncertainty()
    constraints: Constraints = Constraints()

    @field_validator("fleet", mode="before")
    @classmethod
    def _one_form(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        forms = fleet_forms(value)
        if len(forms) > 1:
            raise refuse(f"mixes {' with '.join(FORMS[form] for form in forms)}; keep the keys of one form")
        if not forms:
            raise refuse(f"gives no price; use exactly one of {', '.join(FORMS.values())}")
        return value

    @model_validator(mode="after")
    def _growth_stays_countable(self) -> Scenario:
        growth, months = self.workload.growth_per_month, self.horizon.months
        factor = (1 + growth) ** (months - 1)
        if factor > MAX_GROWTH:
            raise refuse(
                f"workload.growthPerMonth: {growth:f} makes the volume {factor:.0e} times as large by month {months} "
                f"of horizon.months; 0.15 means 15 % more each month"
            )
        return self

    def to_inputs(self) -> dict[str, Any]:
        """Plain camelCase values (int, float, str, bool, list, dict; nothing null), fit for a resource's inputs.

        `parse_scenario(s.to_inputs()) == s` as long as no number has more than 15 significant digits.
        """
        inputs: dict[str, Any] = plain(self.model_dump(by_alias=True, exclude_none=True))
        return inputs


class Baseline(Section):
    """What was approved and runs: a deployment that does not exceed it is repair, not growth."""

    nodes: NodeCount
    usd_per_month: Annotated[
        Decimal, Number(at_least="0", at_most="1e12", hint="fixedUsdPerMonth of `crossover plan`: nodes and overhead")
    ]
    approved_by: Name
    date: Day


def plain(value: Any) -> Any:
    """Numbers as int or float, days as YYYY-MM-DD, in plain dicts and lists: fit for a resource's inputs and JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
