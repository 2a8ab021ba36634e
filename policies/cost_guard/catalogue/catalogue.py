"""The catalogue: what a node costs and serves, and what managed models cost, from the committed data files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cost_guard import wording
from cost_guard.catalogue.clouds import CloudFacts, cloud_facts, load_clouds
from cost_guard.units import HOURS_PER_MONTH
from strict.numbers import Number, Whole, refuse, shown
from strict.problems import nearest
from strict.toml import CatalogueError, Row, read, read_rows, wrong

DATA = Path(__file__).parent / "data"
PRICES, THROUGHPUT, MANAGED = "prices.toml", "throughput.toml", "managed.toml"
"""The files of DATA."""

MAX_USD_PER_MILLION = "1e4"
"""Above it, a managed price is one per thousand tokens, or per million and then taken × 10⁶."""

Positive = Annotated[Decimal, Number(above="0", at_most="1e9")]
UsdPerMillion = Annotated[Decimal, Number(above="0", at_most=MAX_USD_PER_MILLION, hint="in USD per million tokens")]


def _dollars(value: object) -> str:
    if value != "USD":
        raise refuse(f"must be USD, got {shown(value)}; convert the price, and note the rate and its day")
    return "USD"


Dollars = Annotated[str, BeforeValidator(_dollars)]


class Price(Row):
    """What one node costs: exactly one of a month as quoted, or an hour that counts × 730. Keyed `cloud/sku`."""

    FILE: ClassVar = PRICES

    kind: Literal["quoted", "list", "live-seen", "contract"]
    terms: Literal["on-demand", "reserved", "spot"] = "on-demand"
    currency: Dollars = "USD"
    region: str = ""
    """Where this is the price, if it differs by region."""
    usd_per_month_quoted: Positive | None = Field(default=None, alias="usdPerMonth")
    usd_per_hour: Annotated[Decimal, Number(above="0", at_most="1000", hint="for one hour of one node")] | None = None
    interruption_loss: Annotated[
        Decimal, Number(at_least="0", below="1", hint="the share of the paid time that serves nothing")
    ] = Decimal(0)
    """Of a spot price: the share of the paid time that serves nothing; 0 also where none is known."""
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
    def usd_per_month(self) -> Decimal:
        """A monthly quotation as quoted; an hourly price × 730. Without what interruptions and commitments add."""
        if self.usd_per_month_quoted is not None:
            return self.usd_per_month_quoted
        assert self.usd_per_hour is not None
        return self.usd_per_hour * HOURS_PER_MONTH

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
            loss = wording.percent(self.interruption_loss) if self.interruption_loss else "not known"
            return f" (spot, interruption loss {loss})"
        if self.terms == "reserved":
            upfront = f", {wording.usd(self.upfront_usd)} up front" if self.upfront_usd else ""
            return f" (reserved for {self.commitment_months} months{upfront})"
        return ""


BENCHMARK = re.compile(r"(?P<sku>[^@]+)@(?P<model>[^@]+)@(?P<input>[1-9]\d*)/(?P<output>[1-9]\d*)(@[1-9]\d*ms)?")
"""Input/output tokens of one request; then, where latency was bounded, milliseconds for each output token."""


class Throughput(Row):
    """What one node serves, input and output tokens blended.

    Keyed `cloud/sku`, it is what the gate reckons with for that SKU. Keyed `cloud/sku@model@input/output`, with
    `@30ms` after it where latency was bounded, it is what one benchmark found at one shape.
    """

    kind: Literal["illustrative", "modelled", "published", "measured"]
    tokens_per_second: Positive

    @field_validator("key")
    @classmethod
    def _sku_or_benchmark(cls, key: str) -> str:
        if "@" in key and not BENCHMARK.fullmatch(key):
            raise refuse(f"a benchmark is named cloud/sku@model@input/output or …@30ms, got {shown(key)}")
        return key

    @property
    def is_benchmark(self) -> bool:
        return "@" in self.key

    @property
    def sku(self) -> str:
        """`cloud/sku`, whatever follows it."""
        return self.key.partition("@")[0]


class ManagedRates(Row):
    """What a managed API bills for a model, keyed by the model's name in LiteLLM's table."""

    FILE: ClassVar = MANAGED

    currency: Dollars = "USD"
    input_usd_per_million: UsdPerMillion
    cached_input_usd_per_million: (
        Annotated[Decimal, Number(at_least="0", at_most=MAX_USD_PER_MILLION, hint="in USD per million tokens")] | None
    ) = None
    """What input found in the vendor's cache costs; None where that is no discount."""
    output_usd_per_million: UsdPerMillion
    batch_discount: Annotated[Decimal, Number(at_least="0", below="1", hint="0.5 means half the price")] | None = None
    """What the vendor's batch API takes off; informative, the gate reckons without it."""

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


@dataclass(frozen=True)
class Catalogue:
    """Prices and throughputs by `cloud/sku`, managed models by name."""

    prices: Mapping[str, Price]
    throughputs: Mapping[str, Throughput]
    """What the gate reckons with: one row a SKU."""
    managed: Mapping[str, ManagedRates] = field(default_factory=dict)
    benchmarks: Mapping[str, Throughput] = field(default_factory=dict)
    """By model and shape; informative, see docs/reference/prices.md."""
    clouds: Mapping[str, CloudFacts] = field(default_factory=load_clouds)
    """What the gate must know of each cloud."""

    def cloud(self, name: str) -> CloudFacts:
        """The facts of a cloud, whether the table has it or not."""
        return cloud_facts(name, self.clouds)

    def describe_price(self, key: str) -> str:
        """A row's price in words; a quotation together with the live price it is compared with and the distance."""
        price = self.prices[key]
        live = self.prices.get(price.compared_with or "")
        if live is None:
            return price.describe()
        distance = wording.percent(live.usd_per_month / price.usd_per_month - 1)
        return f"{price.describe()}; {live.describe()}, {'' if distance.startswith('-') else '+'}{distance}"

    def nearest(self, key: str) -> str | None:
        """The known key most like an unknown one."""
        return nearest(key, self.prices)


@lru_cache(maxsize=1)
def load_catalogue(folder: Path = DATA) -> Catalogue:
    """The committed catalogue. Raises CatalogueError."""
    prices = read_rows(folder / PRICES, Price)
    served = read_rows(folder / THROUGHPUT, Throughput)
    managed = read_rows(folder / MANAGED, ManagedRates) if (folder / MANAGED).exists() else {}
    for price in prices.values():
        if price.compared_with is not None and price.compared_with not in prices:
            place = (price.key, "comparedWith")
            raise wrong(read(folder / PRICES), PRICES, place, f"there is no row {shown(price.compared_with)}")
    return Catalogue(
        prices,
        {key: row for key, row in served.items() if not row.is_benchmark},
        managed,
        {key: row for key, row in served.items() if row.is_benchmark},
    )


def check_dates(folder: Path, today: date) -> None:
    """Raises CatalogueError for a row of the future. A day more is allowed: today is not the same everywhere.

    Whoever changes the files is told so; the gate only warns (`price-fresh`): a wrong clock stops nobody.
    """
    catalogue = load_catalogue(folder)
    files: tuple[tuple[str, Mapping[str, Row]], ...] = (
        (PRICES, catalogue.prices),
        (THROUGHPUT, {**catalogue.throughputs, **catalogue.benchmarks}),
        (MANAGED, catalogue.managed),
    )
    for file, rows in files:
        for row in rows.values():
            if row.date > today + timedelta(days=1):
                raise wrong(read(folder / file), file, (row.key, "date"), f"{row.date} is after today, {today}")


__all__ = [
    "DATA", "MANAGED", "PRICES", "THROUGHPUT", "Catalogue", "CatalogueError", "ManagedRates", "Price",
    "Throughput", "check_dates", "load_catalogue",
]  # fmt: skip
