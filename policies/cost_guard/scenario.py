"""The scenario: what `crossover:*` in a stack's config and `crossover plan --file` say, parsed once and frozen.

Keys are camelCase outside and snake_case inside. Unknown keys are refused, so that a typo never falls back to a default
in silence. `errors.parse_scenario` is the way in; it raises ScenarioError with one line for each thing that is wrong.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator
from pydantic.alias_generators import to_camel

from .quantity import Number, Whole, parse_day, parse_flag, refuse, shown

if TYPE_CHECKING:
    from .usage import Usage

Share = Annotated[Decimal, Number(at_least="0", at_most="1", hint="a share is between 0 and 1")]
Sigma = Annotated[Decimal, Number(at_least="0", at_most="5", hint="the sigma of a log-normal, 0 for certainty")]
Usd = Annotated[Decimal, Number(at_least="0", at_most="1e9", hint="in USD")]
UsdAboveZero = Annotated[Decimal, Number(above="0", at_most="1e9", hint="in USD")]
UsdPerMillion = Annotated[
    Decimal, Number(above="0", at_most="1e6", hint="the blended managed price in USD per million tokens, e.g. 5.0")
]
# 1e16 tokens a month are 3.8e9 tokens/s: 800,000 nodes of 4,759 tokens/s. Anything above is a slip of the exponent.
UNREAD = Decimal("NaN")
"""The volume of a scenario that names a usage file which nobody has read yet: no arithmetic succeeds on it."""


class _Volume(Number):
    def parse(self, value: object) -> Decimal:
        return UNREAD if value is UNREAD else super().parse(value)


TokensPerMonth = Annotated[
    Decimal, _Volume(at_least="1", at_most="1e16", hint="give the tokens of one month, input and output, e.g. 6e9")
]
PeakToMean = Annotated[
    Decimal, Number(at_least="1", at_most="1000", hint="the peak hour over the mean hour, at least 1")
]
TokensPerSecond = Annotated[
    Decimal, Number(above="0", at_most="1e9", hint="what one node serves, input and output blended, e.g. 4759")
]
NodeCount = Annotated[int, Whole(at_least="1", at_most="10000", hint="how many nodes the fleet has, e.g. 2")]
Flag = Annotated[bool, BeforeValidator(parse_flag)]
Day = Annotated[date, BeforeValidator(parse_day)]

NODE_KEY = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
"""A node's key is part of its DNS name, so it is a DNS label."""

MAX_LADDER_NODES = 500
"""More are refused: the search for a placement recurses once per node."""

NOT_YET = "is not supported in this version"


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise refuse(f"must be a name, got {shown(value)}")
    return value


Name = Annotated[str, BeforeValidator(_name)]


class Section(BaseModel):
    """What all parts share: frozen, camelCase keys, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_default=False)


def _without_null(data: object, key: str) -> object:
    """The same data, less a key that is there and says nothing."""
    if not isinstance(data, Mapping):
        return data
    return {name: value for name, value in data.items() if name != key or value is not None}


_MEASURED = ("kind", "inputShare", "cachedShare", "peakToMean")


class Workload(Section):
    """How many tokens, how spread, and how well known: exactly one of tokensPerMonth and usage says it."""

    tokens_per_month: TokensPerMonth
    usage: Name | None = None
    """Path of a usage file that is still to be read (`Scenario.with_usage`)."""
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
            return _without_null(data, "usage")
        if "tokensPerMonth" in data:
            raise refuse("give exactly one of tokensPerMonth and usage, not both")
        if said := [key for key in _MEASURED if key in data]:
            raise refuse(f"the usage file says {', '.join(said)}; take it away here, or give tokensPerMonth instead")
        return {**data, "tokensPerMonth": UNREAD}

    @property
    def displaced_tokens_per_month(self) -> Decimal:
        """V of the arithmetic: the tokens that would move to the fleet. The rest stays managed on both sides."""
        return self.tokens_per_month * self.displaced_share


class Managed(Section):
    """The managed API that is displaced."""

    usd_per_million_tokens: UsdPerMillion

    @model_validator(mode="before")
    @classmethod
    def _price_is_a_number(cls, data: object) -> object:
        if not isinstance(data, Mapping) or data.get("routes") is None:
            return _without_null(data, "routes")
        if data.get("usdPerMillionTokens") is not None:
            raise refuse("give exactly one of usdPerMillionTokens and routes, not both")
        raise refuse(f"routes {NOT_YET}; give usdPerMillionTokens, the blended price, instead")


class Candidate(Section):
    """One rung of a node's ladder."""

    cloud: Name
    region: Name
    sku: Name
    max_usd_per_hour: UsdAboveZero | None = None
    stands_for: Name | None = None

    @model_validator(mode="after")
    def _only_local_stands_for_another(self) -> Candidate:
        if self.stands_for is not None and self.cloud != "local":
            raise refuse(f"standsFor is only for the cloud local, got cloud {shown(self.cloud)}; remove it")
        return self

    @property
    def catalogue_key(self) -> str:
        """Whose price and throughput count: `cloud/sku`, or what a local candidate stands for."""
        return self.stands_for or f"{self.cloud}/{self.sku}"


class LadderNode(Section):
    """One node: its candidates in the order in which they are tried."""

    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1)]


class _Fleet(Section):
    target_utilisation: Annotated[
        Decimal, Number(above="0", at_most="1", hint="the share of a node's throughput to plan with, e.g. 0.7")
    ] = Decimal("0.7")
    spare_nodes: Annotated[int, Whole(at_least="0", at_most="10000", hint="nodes beyond what the peak needs")] = 1
    max_per_failure_domain: Annotated[int, Whole(at_least="1", at_most="10000", hint="nodes per failure domain")] = 1

    @property
    @abstractmethod
    def node_count(self) -> int:
        """How many nodes the fleet has."""

    @model_validator(mode="before")
    @classmethod
    def _spare_fits_one_node(cls, data: object) -> object:
        # The default of one spare cannot hold for one node; the rule `redundancy` then says what is wrong with it.
        if isinstance(data, Mapping) and "spareNodes" not in data:
            nodes = data.get("nodes")
            if nodes in (1, "1") or (isinstance(nodes, Mapping) and len(nodes) == 1):
                return {**data, "spareNodes": 0}
        return data

    @model_validator(mode="after")
    def _spare_is_less_than_nodes(self) -> _Fleet:
        if self.spare_nodes >= self.node_count:
            raise refuse(
                f"spareNodes must be less than the number of nodes, got {self.spare_nodes} spare of {self.node_count}; "
                f"lower spareNodes or add nodes"
            )
        return self


class QuotationFleet(_Fleet):
    """Form 1: the price and the throughput are given."""

    nodes: NodeCount
    usd_per_node_month: Usd
    tokens_per_second: TokensPerSecond

    @property
    def node_count(self) -> int:
        return self.nodes


class SkuFleet(_Fleet):
    """Form 2: price and throughput of one SKU come from the catalogue."""

    nodes: NodeCount
    sku: Name

    @property
    def node_count(self) -> int:
        return self.nodes


class LadderFleet(_Fleet):
    """Form 3: nodes by a stable key, each with its ladder of candidates."""

    nodes: Annotated[dict[str, LadderNode], Field(min_length=1, max_length=MAX_LADDER_NODES)]

    @field_validator("nodes", mode="before")
    @classmethod
    def _keys_are_dns_labels(cls, value: object) -> object:
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str) or not NODE_KEY.fullmatch(key):
                    raise refuse(f"the node key {shown(key)} must be lower-case letters, digits and hyphens, e.g. a")
        return value

    @property
    def node_count(self) -> int:
        return len(self.nodes)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every rung of every node."""
        return tuple(candidate for node in self.nodes.values() for candidate in node.candidates)


FORMS = {
    "quotation": "form 1 (nodes, usdPerNodeMonth, tokensPerSecond)",
    "sku": "form 2 (nodes, sku)",
    "ladder": "form 3 (nodes as a map of key to candidates)",
}
FORM_MODELS: dict[str, type[_Fleet]] = {"quotation": QuotationFleet, "sku": SkuFleet, "ladder": LadderFleet}
_SPEAKS_OF = {"usdPerNodeMonth": "quotation", "tokensPerSecond": "quotation", "sku": "sku"}


def fleet_forms(data: Mapping[Any, Any]) -> list[str]:
    """Which of the three forms the keys speak of, a misspelt key included; exactly one is right."""
    forms = {_SPEAKS_OF[key] for key in data if key in _SPEAKS_OF}
    if isinstance(data.get("nodes"), Mapping):
        forms.add("ladder")
    if not forms:
        unknown = [key for key in data if isinstance(key, str) and key not in _FLEET_KEYS]
        forms = {_SPEAKS_OF[near] for key in unknown for near in get_close_matches(key, _SPEAKS_OF, n=1)}
    return [form for form in FORMS if form in forms]


def _form_of(data: object) -> str:
    """The discriminator, of plain data and of a parsed fleet. What speaks of no form, or of two, was refused before."""
    if isinstance(data, _Fleet):
        return next(form for form, model in FORM_MODELS.items() if isinstance(data, model))
    forms = fleet_forms(data) if isinstance(data, Mapping) else []
    return forms[0] if forms else "quotation"


_FLEET_KEYS = {"nodes", "targetUtilisation", "spareNodes", "maxPerFailureDomain"}

Fleet = Annotated[
    Annotated[QuotationFleet, Tag("quotation")]
    | Annotated[SkuFleet, Tag("sku")]
    | Annotated[LadderFleet, Tag("ladder")],
    Discriminator(_form_of),
]


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
    """For the cost over time, which this version does not compute: validated only."""

    months: Annotated[int, Whole(at_least="1", at_most="600", hint="e.g. 24")] = 24
    upfront_usd: Usd = Decimal(0)
    api_price_decline_per_year: Annotated[
        Decimal, Number(above="-1", below="1", hint="0.3 means 30 % cheaper each year")
    ] = Decimal(0)
    discount_rate_per_year: Annotated[Decimal, Number(above="-1", at_most="10", hint="e.g. 0.08")] = Decimal(0)


class Uncertainty(Section):
    """For the Monte Carlo, which this version does not run: validated only."""

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
    """All of it. Build it with `errors.parse_scenario`."""

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

    def with_usage(self, usage: Usage) -> Scenario:
        """The same scenario with the numbers of a usage file; `uncertainty.volume` too, unless it was given."""
        names = ("tokens_per_month", "kind", "input_share", "cached_share", "peak_to_mean")
        numbers = {name: getattr(usage, name) for name in names}
        changed: dict[str, Any] = {"workload": self.workload.model_copy(update={**numbers, "usage": None})}
        if "volume" not in self.uncertainty.model_fields_set:
            changed["uncertainty"] = self.uncertainty.model_copy(update={"volume": usage.volume_sigma})
        return self.model_copy(update=changed)

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
