"""What managed models cost: the rows of managed.toml."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import model_validator

from cost_guard.catalogue.prices import Dollars
from strict.fields import Name
from strict.numbers import Number, refuse
from strict.toml import Row

MANAGED = "managed.toml"
MAX_USD_PER_MILLION = "1e4"
"""Above it, a managed price is one per thousand tokens, or per million and then taken × 10⁶."""

UsdPerMillion = Annotated[Decimal, Number(above="0", at_most=MAX_USD_PER_MILLION, hint="in USD per million tokens")]


class ManagedRates(Row):
    """What a managed API bills for a model, keyed by the model's name in LiteLLM's table."""

    FILE: ClassVar = MANAGED

    provider: str = ""
    """Who bills it, by LiteLLM's name; empty where nobody said."""
    weights: Name | None = None
    """The Hugging Face repository whose weights it serves; None where they are the vendor's own, or not known."""
    currency: Dollars = "USD"
    input_usd_per_million: UsdPerMillion
    cached_input_usd_per_million: (
        Annotated[Decimal, Number(at_least="0", at_most=MAX_USD_PER_MILLION, hint="in USD per million tokens")] | None
    ) = None
    """What input found in the vendor's cache costs; None where that is no discount."""
    output_usd_per_million: UsdPerMillion
    batch_discount: Annotated[Decimal, Number(at_least="0", below="1", hint="0.5 means half the price")] | None = None
    """What the vendor's batch API takes off; None where it has none, or none is known."""

    @model_validator(mode="after")
    def _cached_is_a_discount(self) -> ManagedRates:
        cached = self.cached_input_usd_per_million
        if cached is not None and cached > self.input_usd_per_million:
            raise refuse("cachedInputUsdPerMillion is above inputUsdPerMillion")
        return self

    def blended(self, input_share: Decimal, cached_share: Decimal) -> Decimal:
        """USD per million tokens where `input_share` of all tokens is input and `cached_share` of the input cached."""
        cached = self.cached_input_usd_per_million
        if cached is None:
            cached = self.input_usd_per_million
        fresh = self.input_usd_per_million
        read = input_share * cached_share
        return (input_share - read) * fresh + read * cached + (1 - input_share) * self.output_usd_per_million
