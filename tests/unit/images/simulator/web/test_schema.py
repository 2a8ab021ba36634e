"""The smallest value of a schema: each is valid by jsonschema, and what has none is refused."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.simulator.web.bodies.schema import NoSmallest, smallest

COUNTRY = {"enum": ["SE", "FR"]}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "nickname": {"type": "string"},
        "age": {"type": "integer", "minimum": 18},
        "address": {"$ref": "#/$defs/address"},
    },
    "required": ["name", "age", "address"],
    "additionalProperties": False,
    "$defs": {"address": {"type": "object", "properties": {"country": COUNTRY}, "required": ["country"]}},
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (PERSON, {"name": "aa", "age": 18, "address": {"country": "SE"}}),
        ({"const": 7}, 7),
        ({"enum": ["celsius", "fahrenheit"]}, "celsius"),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, ""),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, ""),
        ({"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"type": "integer"}}}]}, {"a": 0}),
        ({"type": "object"}, {}),
        ({"type": "object", "required": ["a"], "additionalProperties": {"type": "string"}}, {"a": ""}),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "integer", "minimum": 3}, "minItems": 2}, [3, 3]),
        ({"type": "array", "prefixItems": [{"const": "a"}], "items": {"const": "b"}, "minItems": 2}, ["a", "b"]),
        ({"type": "integer", "exclusiveMinimum": 4}, 5),
        ({"type": "integer", "minimum": 4, "multipleOf": 3}, 6),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, 0.25),
        ({"type": "string", "format": "date"}, "2000-01-01"),
    ],
)
def test_the_smallest_value_is_valid(schema: dict[str, Any], value: object) -> None:
    jsonschema.Draft202012Validator(schema).validate(value)
    assert smallest(schema) == value


@settings(deadline=None)
@given(
    low=st.integers(-50, 50),
    width=st.integers(0, 50),
    step=st.integers(1, 12),
    kind=st.sampled_from(["minimum", "exclusiveMinimum"]),
)
def test_a_number_is_valid_or_there_is_none(low: int, width: int, step: int, kind: str) -> None:
    schema = {"type": "integer", kind: low, "maximum": low + width, "multipleOf": step}
    first = low + 1 if kind == "exclusiveMinimum" else low
    there_is = [number for number in range(first, low + width + 1) if number % step == 0]
    if there_is:
        assert smallest(schema) == there_is[0]
    else:
        with pytest.raises(NoSmallest):
            smallest(schema)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string", "pattern": "a+"}, "pattern"),
        ({"not": {"type": "string"}}, "not"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "no schema with a value"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "https://elsewhere.example/x"}, "out of the schema"),
        ({"$ref": "#"}, "without end|no schema"),
        ({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}, "without end"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "within its limits"),
        ({"enum": []}, "holds nothing"),
        ({"type": "file"}, "not simulated"),
        (False, "no schema"),
    ],
)
def test_what_has_no_value_or_is_not_simulated_is_said(schema: object, said: str) -> None:
    with pytest.raises(NoSmallest, match=said):
        smallest(schema)
