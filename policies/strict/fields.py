"""What the sections of a scenario share: bounded field types and the strict base model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from strict.numbers import Number, Whole, parse_day, parse_flag, refuse, shown

Share = Annotated[Decimal, Number(at_least="0", at_most="1", hint="a share is between 0 and 1")]
Usd = Annotated[Decimal, Number(at_least="0", at_most="1e9", hint="in USD")]
UsdAboveZero = Annotated[Decimal, Number(above="0", at_most="1e9", hint="in USD")]
NodeCount = Annotated[int, Whole(at_least="1", at_most="10000", hint="how many nodes the fleet has, e.g. 2")]
Flag = Annotated[bool, BeforeValidator(parse_flag)]
Day = Annotated[date, BeforeValidator(parse_day)]


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise refuse(f"must be a name, got {shown(value)}")
    return value


Name = Annotated[str, BeforeValidator(_name)]


class Given:
    """Marks a field that the reader gives: no key of the data, so no message names it."""


class Section(BaseModel):
    """What all parts share: frozen, camelCase keys, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_default=False)


def without_null(data: object, key: str) -> object:
    """The same data, less a key that is there and says nothing."""
    if not isinstance(data, Mapping):
        return data
    return {name: value for name, value in data.items() if name != key or value is not None}
