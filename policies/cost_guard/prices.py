"""The catalogue: what a node costs and serves, from the committed data files, each row with its source and date."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from . import wording
from .capacity import HOURS_PER_MONTH
from .quantity import Number, parse_day

DATA = Path(__file__).parent / "data"

Positive = Annotated[Decimal, Number(above="0", at_most="1e9")]
Day = Annotated[date, BeforeValidator(parse_day)]


class CatalogueError(ValueError):
    """A data file of the catalogue cannot be read; the message names the file and the row."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    key: str
    """`cloud/sku`."""
    date: Day
    source: str
    """A URL or a citation."""
    note: str = ""


_AnyRow = TypeVar("_AnyRow", bound=_Row)


class Price(_Row):
    """What one node costs: exactly one of a month as quoted, or an hour that counts × 730."""

    kind: Literal["quoted", "list", "live-seen"]
    usd_per_month_quoted: Positive | None = Field(default=None, alias="usdPerMonth")
    usd_per_hour: Positive | None = None
    compared_with: str | None = None
    """The key of the live row that a quotation is set against."""

    @model_validator(mode="after")
    def _one_unit(self) -> Price:
        if (self.usd_per_month_quoted is None) == (self.usd_per_hour is None):
            raise ValueError("exactly one of usdPerMonth and usdPerHour")
        return self

    @property
    def usd_per_month(self) -> Decimal:
        """A monthly quotation as quoted; an hourly price × 730."""
        if self.usd_per_month_quoted is not None:
            return self.usd_per_month_quoted
        assert self.usd_per_hour is not None
        return self.usd_per_hour * HOURS_PER_MONTH

    def describe(self) -> str:
        """E.g. "live price seen 2026-09-20 is $22.32/h × 730 = $16,293.60"."""
        if self.usd_per_hour is None:
            return f"table quotation {wording.usd(self.usd_per_month)}/month ({self.date})"
        kind = "list price of" if self.kind == "list" else "live price seen"
        hourly = f"${self.usd_per_hour:f}/h × {HOURS_PER_MONTH}"
        return f"{kind} {self.date} is {hourly} = {wording.usd(self.usd_per_month)}"


class Throughput(_Row):
    """What one node serves, input and output tokens blended."""

    kind: Literal["illustrative", "published", "measured"]
    tokens_per_second: Positive


@dataclass(frozen=True)
class Catalogue:
    """Rows by `cloud/sku`."""

    prices: Mapping[str, Price]
    throughputs: Mapping[str, Throughput]

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
        near = get_close_matches(key, self.prices, n=1)
        return near[0] if near else None


@lru_cache(maxsize=1)
def load_catalogue(folder: Path = DATA) -> Catalogue:
    """The committed catalogue. Raises CatalogueError."""
    priced, served = folder / "prices.toml", folder / "throughput.toml"
    prices = {key: _parse(Price, key, row, priced) for key, row in _rows(priced)}
    throughputs = {key: _parse(Throughput, key, row, served) for key, row in _rows(served)}
    for price in prices.values():
        if price.compared_with is not None and price.compared_with not in prices:
            raise CatalogueError(f"prices.toml: {price.key} is compared with {price.compared_with}, which has no row")
    return Catalogue(prices, throughputs)


def _rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        return list(tomllib.loads(path.read_text("utf-8"), parse_float=Decimal).items())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{path.name}: {error}") from error


def _parse(model: type[_AnyRow], key: str, row: dict[str, Any], path: Path) -> _AnyRow:
    try:
        return model.model_validate({"key": key, **row})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CatalogueError(f"{path.name}: {key}: {where}: {first['msg']}") from None
