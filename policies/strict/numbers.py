"""Numbers as they arrive (YAML, JSON, `pulumi config set`, protobuf) turned into exact ones, or refused with a reason.

A number may be an int, a float, a Decimal or a numeric string: `pulumi config set` stores "6e9" as a string, PyYAML
reads `6.0e9` as one, and a policy pack receives every number as a float. A float is converted through its repr, which
is the shortest decimal that means the same float, so 0.7 becomes Decimal("0.7").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

MAX_EXPONENT = 30
"""Numbers beyond 1e±30 are refused before any arithmetic: nothing here is that large, and exact rationals of 1e999999
would fill the memory."""

ENGINES_MIDNIGHT = " 00:00:00 +0000 UTC"
"""What Pulumi's reader puts behind a day that stands unquoted in a stack's configuration."""

NORMAL_P90 = Decimal("1.2815515655446004")
"""The standard normal's 0.9 quantile."""


def refuse(message: str) -> PydanticCustomError:
    """An error whose text is shown as it stands (braces in the text are not placeholders)."""
    return PydanticCustomError("crossover", "{text}", {"text": message})


def shown(value: object, most: int = 60) -> str:
    """A refused value as the user wrote it, in so many characters at most."""
    text = "null" if value is None else repr(value) if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= most else text[: most - 3] + "..."


def parse_number(value: object) -> Decimal:
    """The exact decimal of a number or numeric string; a TypeError or ValueError says why it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise TypeError(f"must be a number, got {shown(value)}")
    if isinstance(value, int) and value.bit_length() > 128:
        raise ValueError("is absurdly large; check the exponent")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError(f"must be a number without separators or a unit, got {shown(value)}") from None
    if not number.is_finite():
        raise ValueError(f"must be a finite number, got {shown(value)}")
    if number and (abs(number.adjusted()) > MAX_EXPONENT or len(number.as_tuple().digits) > 2 * MAX_EXPONENT):
        raise ValueError(f"is absurd, got {shown(value)}; check the exponent")
    return number


@dataclass(frozen=True)
class Number:
    """Pydantic annotation: an exact Decimal within bounds, e.g. Annotated[Decimal, Number(above=0, unit="USD")]."""

    above: str | None = None
    """Exclusive lower bound."""
    at_least: str | None = None
    below: str | None = None
    """Exclusive upper bound."""
    at_most: str | None = None
    hint: str = ""
    """What to do about a refusal, shown after it."""

    def parse(self, value: object) -> Decimal:
        """The number, or a PydanticCustomError naming the bound, the value and the hint."""
        try:
            number = parse_number(value)
        except (TypeError, ValueError) as error:
            raise refuse(self._with_hint(str(error))) from None
        for broken, words, bound in (
            (self.above is not None and not number > Decimal(self.above or 0), "more than", self.above),
            (self.at_least is not None and not number >= Decimal(self.at_least or 0), "at least", self.at_least),
            (self.below is not None and not number < Decimal(self.below or 0), "less than", self.below),
            (self.at_most is not None and not number <= Decimal(self.at_most or 0), "at most", self.at_most),
        ):
            if broken:
                raise refuse(self._with_hint(f"must be {words} {bound}, got {shown(value)}"))
        return number

    def _with_hint(self, text: str) -> str:
        return f"{text}; {self.hint}" if self.hint else text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)


@dataclass(frozen=True)
class Whole(Number):
    """Pydantic annotation: an int within bounds; 2.0 and "2" are 2, 2.5 is refused."""

    def parse_whole(self, value: object) -> int:
        """The integer, or a PydanticCustomError."""
        number = self.parse(value)
        if number != number.to_integral_value():
            raise refuse(self._with_hint(f"must be a whole number, got {shown(value)}"))
        return int(number)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse_whole)


def parse_flag(value: object) -> bool:
    """true or false, also as the strings that `pulumi config set` may store; anything else is refused."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise refuse(f"must be true or false, got {shown(value)}")


def parse_day(value: object) -> date:
    """A day as YYYY-MM-DD (a YAML date is taken too); times are refused, because ages here are whole days."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.removesuffix(ENGINES_MIDNIGHT))
        except ValueError:
            pass
    raise refuse(f"must be a date as YYYY-MM-DD, got {shown(value)}")
