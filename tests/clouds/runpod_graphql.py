"""As much of GraphQL as one mutation and one query need: arguments, parsed strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>\w+)|(?P<mark>[{}()\[\]:]))'
)

RENT_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str, "imageName": str, "cloudType": str, "gpuTypeId": str, "gpuCount": int, "bidPerGpu": (int, float),
    "supportPublicIp": bool, "startSsh": bool, "containerDiskInGb": int, "volumeInGb": int, "volumeMountPath": str,
    "minVcpuCount": int, "minMemoryInGb": int, "dockerArgs": str, "ports": str, "env": list, "templateId": str,
    "dataCenterId": str, "countryCode": str, "networkVolumeId": str, "allowedCudaVersions": list,
}  # fmt: skip
"""Of PodRentInterruptableInput, as dstack and SkyPilot send it; the vendor publishes no schema that can be kept."""


class QueryRefused(Exception):
    """The message of the first entry of `errors`."""


def operation(query: str) -> tuple[str, dict[str, Any]]:
    """The one field that is asked for, and its arguments. Raises QueryRefused."""
    tokens = _tokens(query)
    if tokens and tokens[0] in ("mutation", "query"):
        del tokens[0]
    while tokens and tokens[0] != "{":
        del tokens[0]  # the operation's name
    if len(tokens) < 3:
        raise QueryRefused("Syntax Error: Unexpected <EOF>.")
    del tokens[0]
    field = tokens.pop(0)
    arguments = _pairs(tokens, ")") if tokens.pop(0) == "(" else {}
    return str(field), arguments


class Text(str):
    """A quoted string, to be told from a name."""


def _tokens(query: str) -> list[Any]:
    query = query.replace(",", " ") if '"' not in query else _without_commas(query)
    found: list[Any] = []
    at = 0
    while query[at:].strip():
        match = TOKEN.match(query, at)
        if match is None:
            raise QueryRefused(f"Syntax Error: Unexpected character near {query[at : at + 40]!r}.")
        at = match.end()
        kind, value = match.lastgroup, match[match.lastgroup or 0]
        if kind == "text":
            try:
                found.append(Text(json.loads(value)))
            except ValueError:
                raise QueryRefused(f"Syntax Error: Invalid character escape sequence in {value}.") from None
        elif kind == "number":
            found.append(float(value) if "." in value else int(value))
        else:
            found.append(value)
    return found


def _without_commas(query: str) -> str:
    parts = re.split(r'("(?:[^"\\\n]|\\.)*")', query)
    return "".join(part if index % 2 else part.replace(",", " ") for index, part in enumerate(parts))


def _pairs(tokens: list[Any], end: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while _next(tokens) != end:
        name = tokens.pop(0)
        if _next(tokens) != ":":
            raise QueryRefused(f"Syntax Error: Expected ':', found {_next(tokens)!r}.")
        del tokens[0]
        found[name] = _value(tokens)
    del tokens[0]
    return found


def _value(tokens: list[Any]) -> Any:
    _next(tokens)
    token = tokens.pop(0)
    if isinstance(token, Text | int | float):
        return str(token) if isinstance(token, Text) else token
    if token == "{":
        return _pairs(tokens, "}")
    if token == "[":
        found = []
        while _next(tokens) != "]":
            found.append(_value(tokens))
        del tokens[0]
        return found
    return {"true": True, "false": False, "null": None}.get(token, token)


def _next(tokens: list[Any]) -> Any:
    if not tokens:
        raise QueryRefused("Syntax Error: Unexpected <EOF>.")
    return tokens[0]


def rent_input(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The mutation's input, its fields known and of their types. Raises QueryRefused."""
    given = arguments.get("input")
    if not isinstance(given, dict):
        raise QueryRefused('Field "podRentInterruptable" argument "input" is required.')
    for name, value in given.items():
        if name not in RENT_FIELDS:
            raise QueryRefused(f'Field "{name}" is not defined by type "PodRentInterruptableInput".')
        if not isinstance(value, RENT_FIELDS[name]) or (isinstance(value, bool) and RENT_FIELDS[name] is int):
            raise QueryRefused(f"{name} cannot represent value: {value!r}")
    if "bidPerGpu" not in given:
        raise QueryRefused('Field "PodRentInterruptableInput.bidPerGpu" of required type "Float!" was not provided.')
    return given
