"""The fields of a JSON body, with the types and the words of vLLM's own validation (pydantic's). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ApiError, invalid, problem

Body = Mapping[str, Any]

_TYPES: Mapping[type, tuple[str, str]] = {
    str: ("string_type", "Input should be a valid string"),
    bool: ("bool_type", "Input should be a valid boolean"),
    int: ("int_type", "Input should be a valid integer"),
    float: ("float_type", "Input should be a valid number"),
    list: ("list_type", "Input should be a valid list"),
    dict: ("dict_type", "Input should be a valid dictionary"),
}
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "true", "y", "yes", "on"), True),
    **dict.fromkeys(("0", "f", "false", "n", "no", "off"), False),
}
_NOUNS = {int: "integer", float: "number"}


def wrong(location: str, kind: type, value: object) -> ApiError:
    """The value is not of its type."""
    if isinstance(value, str) and kind in _NOUNS:
        message = f"Input should be a valid {_NOUNS[kind]}, unable to parse string as {_article(_NOUNS[kind])}"
        return invalid(location, problem(f"{kind.__name__}_parsing", location, message, value))
    return invalid(location, problem(_TYPES[kind][0], location, _TYPES[kind][1], value))


def missing(location: str, holder: object) -> ApiError:
    return invalid(location, problem("missing", location, "Field required", holder))


def get(body: Body, name: str, kind: type, location: str = "body") -> Any:
    """The field, None where it is missing or null. A number may be given as text, as pydantic takes it."""
    value = body.get(name)
    if value is None:
        return None
    if kind in _NOUNS:
        return _number(value, kind, f"{location}.{name}")
    if kind is bool and not isinstance(value, bool) and str(value).lower() in _BOOLEANS:
        return _BOOLEANS[str(value).lower()]
    if isinstance(value, kind):
        return value
    raise wrong(f"{location}.{name}", kind, value)


def _number(value: object, kind: type, location: str) -> int | float:
    if kind is int and isinstance(value, int):
        return int(value)  # past a float's range, too: the field's own limit is what refuses it
    if isinstance(value, str | int | float):
        try:
            number = float(value)
            if kind is float or number.is_integer():
                return int(number) if kind is int else number
        except (ValueError, OverflowError):
            pass
    raise wrong(location, kind, value)


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
