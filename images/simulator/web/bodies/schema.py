"""The smallest value that a JSON schema allows: what the simulated model says where it is told a form. Pure.

Constants and the first of an enumeration; of an object what is required; numbers at their minimum, or nearest to zero;
texts and lists as short as they may be; of alternatives the first. A keyword whose value would have to be searched
for (`pattern`, `not`, …) is refused, never left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_REFUSED = (
    *("pattern", "not", "if", "contains", "dependentRequired", "dependentSchemas", "dependencies", "minProperties"),
    *("patternProperties", "propertyNames", "uniqueItems", "$dynamicRef"),
)
_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "a@b.example",
    "ipv4": "0.0.0.0",
    "ipv6": "::",
    "uri": "a:b",
    "uuid": "00000000-0000-0000-0000-000000000000",
}
_DEEPEST = 64


class NoSmallest(Exception):
    """The schema has no value, or the simulator does not know how to find it; the message names the keyword."""


def smallest(schema: object, root: object = None, depth: int = 0) -> Any:
    """A value for `schema`, whose references are into `root`. Raises NoSmallest."""
    if depth > _DEEPEST:
        raise NoSmallest("it requires itself without end")
    if schema is True or schema == {}:
        return None
    if not isinstance(schema, dict):
        raise NoSmallest(f"{schema!r} is no schema with a value")
    root = schema if root is None else root
    schema = _resolved(schema, root, depth)
    for keyword in _REFUSED:
        if schema.get(keyword):
            raise NoSmallest(f"the keyword {keyword} is not simulated")
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _first(schema["enum"], "enum")
    return _typed(schema, root, depth)


def _resolved(schema: Mapping[str, Any], root: object, depth: int) -> dict[str, Any]:
    """With references and alternatives put in the place of their keywords."""
    found = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "oneOf", "allOf")}
    parts: list[Any] = [_target(schema["$ref"], root)] if "$ref" in schema else []
    parts += [_first(schema[keyword], keyword) for keyword in ("anyOf", "oneOf") if keyword in schema]
    for part in (*parts, *schema.get("allOf", ())):
        if part is True:
            continue
        if not isinstance(part, dict) or depth > _DEEPEST:
            raise NoSmallest(f"{part!r} is no schema with a value")
        found = _merged(found, _resolved(part, root, depth + 1))
    return found


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**other, **one}
    if "properties" in one and "properties" in other:
        both["properties"] = {**other["properties"], **one["properties"]}
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *(name for name in other["required"] if name not in one["required"])]
    return both


def _target(reference: object, root: object) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise NoSmallest(f"the reference {reference!r} leads out of the schema")
    found: Any = root
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            raise NoSmallest(f"the reference {reference!r} leads nowhere")
        found = found[name]
    return found


def _typed(schema: Mapping[str, Any], root: object, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = _first(kind, "type")
    if kind == "object" or (kind is None and ("properties" in schema or "required" in schema)):
        return _object(schema, root, depth)
    if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
        return _array(schema, root, depth)
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    if kind == "string":
        return _text(schema)
    if kind == "boolean":
        return False
    if kind in (None, "null"):
        return None
    raise NoSmallest(f"the type {kind!r} is not simulated")


def _object(schema: Mapping[str, Any], root: object, depth: int) -> dict[str, Any]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    names = [name for name in properties if name in required] + [name for name in required if name not in properties]
    rest = schema.get("additionalProperties", True)
    return {name: smallest(properties.get(name, rest), root, depth + 1) for name in names}


def _array(schema: Mapping[str, Any], root: object, depth: int) -> list[Any]:
    count, first = schema.get("minItems", 0), schema.get("prefixItems", [])
    if count > schema.get("maxItems", count):
        raise NoSmallest("minItems is more than maxItems")
    return [smallest((*first, *[schema.get("items", True)] * count)[i], root, depth + 1) for i in range(count)]


def _text(schema: Mapping[str, Any]) -> str:
    length = schema.get("minLength", 0)
    text = _FORMATS.get(schema.get("format", ""), "").ljust(length, "a")
    if len(text) > schema.get("maxLength", len(text)):
        raise NoSmallest("no text of that format and minLength is as short as maxLength")
    return text


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    """The least where there is a least, else that nearest to zero."""
    step = schema.get("multipleOf", 1 if whole else None)
    if whole and step is not None and not float(step).is_integer():
        raise NoSmallest("a multipleOf that is not whole is not simulated for integers")
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    over, under = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    value: float
    if max(low, over) > -math.inf:
        value = low if low > over else _above(over, min(high, under), step)
        value = math.ceil(value / step) * step if step else value
    else:
        value = min(0, high, under)
        value = math.floor(value / step) * step if step else value
        if value == under:
            value -= step or 1
    if not (low <= value <= high and over < value < under):
        raise NoSmallest("no number is within its limits")
    return int(value) if whole else value


def _above(over: float, high: float, step: float | None) -> float:
    if step:
        return (math.floor(over / step) + 1) * step
    return over + 1 if over + 1 < high else (over + high) / 2


def _first(values: object, keyword: str) -> Any:
    if not isinstance(values, Sequence) or not values:
        raise NoSmallest(f"{keyword} holds nothing")
    return values[0]
