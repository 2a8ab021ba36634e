"""The scenario: what `crossover:*` in a stack's config and `crossover plan --file` say, parsed once and frozen.

Keys are camelCase outside and snake_case inside. Unknown keys are refused, so that a typo never falls back to a default
in silence. `proposal.parse_scenario` is the way in; it raises ScenarioError with one line for each thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import field_validator, model_validator

from cost_guard.scenario.fleet import FORMS, Fleet, QuotationFleet, fleet_forms
from cost_guard.scenario.sections.managed import Managed
from cost_guard.scenario.sections.workload import Workload
from strict.fields import Day, Flag, Name, NodeCount, Section, Usd, UsdAboveZero
from strict.numbers import Number, Whole, refuse
from strict.problems import Problems


class ScenarioError(Problems):
    """The gate cannot evaluate: the data is bad or missing."""


Sigma = Annotated[Decimal, Number(at_least="0", at_most="5", hint="the sigma of a log-normal, 0 for certainty")]
HORIZON_MONTHS = 24
QUOTED_THROUGHPUT_SIGMA = Decimal("0.15")
"""Of a throughput that the scenario itself gives."""
MAX_GROWTH = Decimal("1e12")
"""A volume that grows more than this by the horizon's end is a slip of the unit."""


class Overhead(Section):
    """What self-hosting costs besides nodes, USD per month."""

    engineer_usd_per_month: Usd = Decimal(3500)
    monitoring_usd_per_month: Usd = Decimal(200)
    storage_network_usd_per_month: Usd = Decimal(400)
    usd_per_node_month: Usd = Decimal(0)
    """w: what grows with the nodes, on call for them, say."""
    understated_by: Annotated[
        Decimal, Number(at_least="0", at_most="0.99", hint="0.5 means the true overhead is twice the stated")
    ] = Decimal(0)


class Horizon(Section):
    """The months over which the costs are summed, and what changes in them."""

    months: Annotated[int, Whole(at_least="1", at_most="600", hint="e.g. 24")] | None = None
    """T; None is HORIZON_MONTHS, or the longest commitment of a rung where that is longer."""
    upfront_usd: Usd = Decimal(0)
    residual_usd: Usd = Decimal(0)
    """What hardware that was bought is worth at the end."""
    api_price_decline_per_year: Annotated[
        Decimal, Number(above="-1", below="1", hint="0.3 means 30 % cheaper each year")
    ] = Decimal(0)
    discount_rate_per_year: Annotated[Decimal, Number(at_least="-0.5", at_most="10", hint="e.g. 0.08")] = Decimal(0)


class Uncertainty(Section):
    """The sigmas of independent log-normals whose medians are the given values, and how many draws to take."""

    draws: Annotated[int, Whole(at_least="1", at_most="1000000", hint="e.g. 10000")] = 10000
    seed: Annotated[int, Whole(at_least="0", at_most="4294967295", hint="e.g. 7")] = 7
    volume: Sigma = Decimal("0.25")
    outlook: Sigma = Decimal("0.15")
    """What a measured month does not tell of the months to come: added, as variances are, to `volume`."""
    throughput: Sigma | None = None
    """None takes the sigma of the throughput's row; fleet form 1 has QUOTED_THROUGHPUT_SIGMA."""
    node_price: Sigma | None = None
    """None takes the sigma of the price's row, 0 where it has none."""
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
        if told := growth_problem(self.workload.growth_per_month, self.horizon.months or HORIZON_MONTHS):
            raise refuse(told)
        return self

    @model_validator(mode="after")
    def _says_what_is_served(self) -> Scenario:
        if self.workload.model is None and not isinstance(self.fleet, QuotationFleet):
            raise refuse(
                "workload.model: missing; throughput is known by model and machine: name what the nodes serve (a stack "
                "does in serving.model), or give price and throughput themselves: usdPerNodeMonth, tokensPerSecond"
            )
        return self

    @property
    def displaced_tokens_per_month(self) -> Decimal:
        """V of the arithmetic: the tokens that would move to the fleet. The rest stays managed on both sides."""
        return self.workload.tokens_per_month * self.managed.displaced_share

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


def growth_problem(growth: Decimal, months: int) -> str:
    """Why a growth cannot be meant over so many months; empty where it can."""
    factor = (1 + growth) ** (months - 1)
    if factor <= MAX_GROWTH:
        return ""
    return (
        f"workload.growthPerMonth: {growth:f} makes the volume {factor:.0e} times as large by month {months} of "
        f"horizon.months; 0.15 means 15 % more each month"
    )


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
