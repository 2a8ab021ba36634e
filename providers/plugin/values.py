"""Between the engine's property values and plain Python, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind
from pulumi.runtime import rpc

UNKNOWN = rpc.UNKNOWN
"""How a value that only `up` will know arrives in a preview: as this very string (docs/reference/plugin.md)."""

Plain = dict[str, Any]


def plain(value: PropertyValue) -> Any:
    """Without secrecy and dependencies; whole numbers become int, as every number travels as a double."""
    inner: Any = value.value
    if isinstance(inner, Mapping):
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(inner, str | bool) or inner is None:
        return inner
    if isinstance(inner, int | float):
        return int(inner) if float(inner).is_integer() else inner
    if isinstance(inner, Sequence):
        return [plain(item) for item in inner]
    raise TypeError(f"gpucloud takes plain values, not {type(inner).__name__}")


def plain_map(values: Mapping[str, PropertyValue]) -> Plain:
    """`plain` for a resource's properties."""
    return {key: plain(value) for key, value in values.items()}


def wrapped(value: Any) -> PropertyValue:
    """The inverse of `plain`."""
    if isinstance(value, Mapping):
        return PropertyValue({key: wrapped(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return PropertyValue([wrapped(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def wrapped_map(values: Mapping[str, Any], secret: frozenset[str]) -> dict[str, PropertyValue]:
    """Properties with those named in `secret` marked secret as a whole."""
    return {key: wrapped(value).with_secret(key in secret) for key, value in values.items()}


def contains_unknown(value: Any) -> bool:
    """Whether any part is not known yet."""
    if isinstance(value, Mapping):
        return any(contains_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def detailed_diff(
    olds: Mapping[str, Any], news: Mapping[str, Any], keys: Sequence[str], replacing: frozenset[str]
) -> dict[str, PropertyDiff]:
    """Path → kind of change, for the named top-level inputs.

    A change at a path in `replacing` ("generation", "machine.id"), or of something that contains it, replaces.
    """
    result = {}
    for key in keys:
        for path, kind in _walk(key, olds.get(key), news.get(key)):
            if any(path == other or other.startswith(f"{path}.") for other in replacing):
                kind = PropertyDiffKind[f"{kind.name}_REPLACE"]
            result[path] = PropertyDiff(kind, input_diff=True)
    return result


def _walk(path: str, old: Any, new: Any) -> Iterator[tuple[str, PropertyDiffKind]]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            step = f".{key}" if key.isidentifier() else f'["{key}"]'
            yield from _walk(path + step, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _walk(f"{path}[{index}]", a, b)
    elif old is None:
        yield path, PropertyDiffKind.ADD
    elif new is None:
        yield path, PropertyDiffKind.DELETE
    else:
        yield path, PropertyDiffKind.UPDATE
