"""The fleet of a scenario: exactly one of three forms, told apart by their keys."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from strict.fields import Name, NodeCount, Section, Usd, UsdAboveZero
from strict.numbers import Number, Whole, refuse, shown

TokensPerSecond = Annotated[
    Decimal, Number(above="0", at_most="1e9", hint="what one node serves, input and output blended, e.g. 4759")
]

NODE_KEY = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
"""A node's key is part of its DNS name, so it is a DNS label."""

MAX_LADDER_NODES = 500
"""More are refused: the search for a placement recurses once per node."""


class LadderCandidate(Section):
    """One rung of a node's ladder."""

    cloud: Name
    region: Name
    sku: Name
    max_usd_per_hour: UsdAboveZero | None = None
    stands_for: Name | None = None

    @property
    def catalogue_key(self) -> str:
        """Whose price and throughput count: `cloud/sku`, or what a local candidate stands for."""
        return self.stands_for or f"{self.cloud}/{self.sku}"


class LadderNode(Section):
    """One node: its candidates in the order in which they are tried."""

    candidates: Annotated[tuple[LadderCandidate, ...], Field(min_length=1)]


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

    @property
    @abstractmethod
    def catalogue_keys(self) -> list[list[str]]:
        """Node → whose price and throughput may count for it; none where both are given."""

    @property
    def ladders(self) -> dict[str, tuple[LadderCandidate, ...]]:
        """Node key → its candidates; empty for a fleet that names none."""
        return {}

    @property
    def candidates(self) -> tuple[LadderCandidate, ...]:
        """Every rung of every node."""
        return tuple(candidate for ladder in self.ladders.values() for candidate in ladder)

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

    @property
    def catalogue_keys(self) -> list[list[str]]:
        return []


class SkuFleet(_Fleet):
    """Form 2: price and throughput of one SKU come from the catalogue."""

    nodes: NodeCount
    sku: Name

    @property
    def node_count(self) -> int:
        return self.nodes

    @property
    def catalogue_keys(self) -> list[list[str]]:
        return [[self.sku]] * self.nodes


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
    def catalogue_keys(self) -> list[list[str]]:
        return [[rung.catalogue_key for rung in node.candidates] for node in self.nodes.values()]

    @property
    def ladders(self) -> dict[str, tuple[LadderCandidate, ...]]:
        return {key: node.candidates for key, node in self.nodes.items()}


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
