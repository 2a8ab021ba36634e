"""What a node costs: the rows of prices.toml."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cost_guard import wording
from cost_guard.units import HOURS_PER_MONTH
from strict.fields import Name
from strict.numbers import Number, Whole, refuse, shown
from strict.toml import Row

PRICES = "prices.toml"
Positive = Annotated[Decimal, Number(above="0", at_most="1e9")]


def _dollars(value: object) -> str:
    if value != "USD":
        raise refuse(f"must be USD, got {shown(value)}; convert the price, and note the rate and its day")
    return "USD"


Dollars = Annotated[str, BeforeValidator(_dollars)]


class Price(Row):
    """What one node costs: exactly one of a month as quoted, or an hour that counts × 730. Keyed `cloud/sku`."""

    FILE: ClassVar = PRICES

    machine: Name
    """What is rented: a row of gpus.toml's machines, e.g. "8x-a100-sxm-80gb"."""
    kind: Literal["quoted", "list", "live-seen", "contract"]
    terms: Literal["on-demand", "reserved", "spot"] = "on-demand"
    currency: Dollars = "USD"
    region: str = ""
    """Where this is the price, if it differs by region."""
    usd_per_month_quoted: Positive | None = Field(default=None, alias="usdPerMonth")
    usd_per_hour: Annotated[Decimal, Number(above="0", at_most="1000", hint="for one hour of one node")] | None = None
    interruption_loss: (
        Annotated[Decimal, Number(at_least="0", below="1", hint="the share of the paid time that serves nothing")]
        | None
    ) = None
    """Of a spot price: the share of the paid time that serves nothing; None where nobody knows it."""
    sigma: Annotated[Decimal, Number(at_least="0", at_most="3", hint="of the logarithm of the price")] = Decimal(0)
    """How far what is billed may be off, as a standard deviation of the logarithm; 0 of a price that is certain."""
    commitment_months: Annotated[int, Whole(at_least="1", at_most="120")] | None = None
    """Of a reserved price: how long it must be paid."""
    upfront_usd: Annotated[Decimal, Number(at_least="0", at_most="1e9")] = Decimal(0)
    """Of a reserved price: what is paid when the commitment begins, besides the price."""
    contract: str = ""
    """The reference of the contract that a price of kind `contract` rests on."""
    compared_with: str | None = None
    """The key of the live row that a quotation is set against."""

    @field_validator("key")
    @classmethod
    def _cloud_and_sku(cls, key: str) -> str:
        if not re.fullmatch(r"[^/\s]+/\S+", key):
            raise refuse(f"a row is named cloud/sku, got {shown(key)}")
        return key

    @model_validator(mode="after")
    def _one_unit(self) -> Price:
        if (self.usd_per_month_quoted is None) == (self.usd_per_hour is None):
            raise ValueError("exactly one of usdPerMonth and usdPerHour")
        return self

    @model_validator(mode="after")
    def _terms_fit(self) -> Price:
        if self.terms != "spot" and self.interruption_loss:
            raise refuse(f"interruptionLoss is for spot prices, and the terms are {self.terms}")
        if (self.terms == "reserved") != (self.commitment_months is not None):
            raise refuse("commitmentMonths is for terms = 'reserved', which cannot do without")
        if self.terms != "reserved" and self.upfront_usd:
            raise refuse(f"upfrontUsd is for reserved prices, and the terms are {self.terms}")
        if (self.kind == "contract") != bool(self.contract.strip()):
            raise refuse("contract, its reference, is for kind = 'contract', which cannot do without")
        return self

    @property
    def known_loss(self) -> Decimal:
        """ℓ: 0 of what is not interrupted, and where the loss is not known, which `price-known` says."""
        return self.interruption_loss or Decimal(0)

    @property
    def usd_per_month(self) -> Decimal:
        """A monthly quotation as quoted; an hourly price × 730. Without what interruptions and commitments add."""
        if self.usd_per_month_quoted is not None:
            return self.usd_per_month_quoted
        assert self.usd_per_hour is not None
        return self.usd_per_hour * HOURS_PER_MONTH

    @property
    def cost_usd_per_month(self) -> Decimal:
        """A month with what is paid up front spread over its commitment, to 28 digits."""
        return self.usd_per_month + self.upfront_usd / (self.commitment_months or 1)

    def describe(self) -> str:
        """E.g. "live price seen 2026-09-20 is $22.32/h × 730 = $16,293.60"."""
        return f"{self._figure()}{self._conditions()}"

    def _figure(self) -> str:
        named = f"contract {self.contract} of" if self.kind == "contract" else ""
        if self.usd_per_hour is None:
            return f"{named or 'table quotation'} {wording.usd(self.usd_per_month)}/month ({self.date})"
        kind = named or ("list price of" if self.kind == "list" else "live price seen")
        hourly = f"${self.usd_per_hour:f}/h × {HOURS_PER_MONTH}"
        return f"{kind} {self.date} is {hourly} = {wording.usd(self.usd_per_month)}"

    def _conditions(self) -> str:
        if self.terms == "spot":
            loss = "not known" if self.interruption_loss is None else wording.percent(self.interruption_loss)
            return f" (spot, interruption loss {loss})"
        if self.terms == "reserved":
            upfront = f", {wording.usd(self.upfront_usd)} up front" if self.upfront_usd else ""
            return f" (reserved for {self.commitment_months} months{upfront})"
        return ""
