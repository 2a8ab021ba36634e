"""One row of data/claims.toml: what a source claims, and how it is to be checked."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from strict.fields import Given, Section
from strict.numbers import Number

Exact = Annotated[Decimal, Number()]

TOKENS_PER_SECOND = Decimal(4759)
"""Of a node of 8×A100 80 GB with a 70B model in FP16: illustrative, so that these rows stand still. NVIDIA's published
shapes give 6,704, by which each second row has the same status: test_derived.py."""


class Requirement(Section):
    """What one input would have to be for the expected figure to hold."""

    input: str
    formula: str
    """Over the inputs and `expected`: the figure, or of a range the end that is missed."""
    unit: str


class Carried(Section):
    """The nodes that must carry the claim's volume."""

    nodes: Exact
    tokens_per_second: Exact = TOKENS_PER_SECOND
    volume: Exact | None = None
    """Tokens a month; None is what the claim says, of a range its upper end."""


class FromCatalogue(Section):
    """The row of the catalogue that gives inputs: one of price and managed."""

    price: str | None = None
    """`cloud/sku` of an hourly price; gives usd_per_hour."""
    managed: str | None = None
    """A regular expression for the whole name of a managed model; gives input_price and output_price, USD per million
    tokens."""
    pick: Literal["cheapest", "dearest"] = "cheapest"
    """Which of several models, at the claim's input_share."""


class Claim(Section):
    """One row of data/claims.toml."""

    id: Annotated[str, Given(), Field(alias="key")]
    """The name of its table."""
    source: str
    claim: str
    unit: str
    kind: Literal["computed", "quoted", "unverifiable"] = "computed"
    formula: str | None = None
    where: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, Exact] = Field(default_factory=dict)
    catalogue: FromCatalogue | None = None
    expected: Exact | tuple[Exact, Exact] | None = None
    at_least: Exact | None = None
    """In place of `expected`."""
    tolerance: Exact = Decimal(0)
    condition: str | None = None
    needs: Requirement | None = None
    remedy: str | None = None
    carried: Carried | None = None

    @model_validator(mode="after")
    def _one_figure(self) -> Claim:
        if self.expected is not None and self.at_least is not None:
            raise ValueError("one of expected and atLeast, not both")
        return self

    @property
    def bounds(self) -> tuple[Decimal, Decimal] | None:
        """Between what the figure must lie, before the tolerance; None where the source gives none."""
        if self.at_least is not None:
            return self.at_least, Decimal("Infinity")
        if self.expected is None:
            return None
        return self.expected if isinstance(self.expected, tuple) else (self.expected, self.expected)
