"""Where in a model a validation error lies: the keys as the user wrote them, and which others could stand beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from strict.fields import Given

Loc = tuple[int | str, ...]


@dataclass(frozen=True)
class Spot:
    """Where an error lies."""

    place: Loc
    """Without what pydantic puts in for the branch of a union, or for a map's key itself."""
    siblings: tuple[str, ...]
    """The keys of the model whose field the last of `place` is, or was meant to be; none where that is no model."""


def spot(model: type[BaseModel], loc: Loc) -> Spot:
    """Of an error's `loc`, which begins in that model."""
    place: list[int | str] = []
    siblings: tuple[str, ...] = ()
    at: Any = model
    for part in loc:
        branches = _branches(at)
        if len(branches) > 1 and (taken := _taken(branches, part)) is not None:
            at = taken
            continue
        at = branches[0] if len(branches) == 1 else next((one for one in branches if _holds(one, part)), None)
        if part == "[key]":
            continue
        siblings = _keys(at)
        place.append(part)
        at = _inside(at, part)
    return Spot(tuple(place), siblings)


def _branches(at: Any) -> list[Any]:
    """What a value may be, None left out; each member of a union still with its tag."""
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    if get_origin(at) not in (Union, UnionType):
        return [at]
    return [one for one in get_args(at) if one is not NoneType]


def _taken(branches: Sequence[Any], part: int | str) -> Any:
    """The branch of a union that `part` names, in place of a key; None where it is a key."""
    for one in branches:
        extra = get_args(one)[1:] if get_origin(one) is Annotated else ()
        if any(isinstance(tag, Tag) and tag.tag == part for tag in extra):
            return one
        bare = _branches(one)[0]
        if part == getattr(bare, "__name__", None) and not _holds(one, part):
            return one
    if isinstance(part, str) and "[" in part and part != "[key]":  # "tuple[…]", "function-plain[…]"
        kind = part.partition("[")[0]
        return next((one for one in branches if getattr(get_origin(one), "__name__", "") == kind), Any)
    return None


def _holds(at: Any, part: int | str) -> bool:
    """Whether `part` is what may lead into such a value."""
    bare = _branches(at)[0]
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return part in _keys(bare) or part in bare.model_fields
    origin = get_origin(bare)
    return isinstance(origin, type) and issubclass(origin, Mapping if isinstance(part, str) else Sequence | Set)


def _keys(at: Any) -> tuple[str, ...]:
    bare = _branches(at)[0]
    if not (isinstance(bare, type) and issubclass(bare, BaseModel)):
        return ()
    fields = bare.model_fields.items()
    return tuple(f.alias or name for name, f in fields if not any(isinstance(m, Given) for m in f.metadata))


def _inside(at: Any, part: int | str) -> Any:
    """The annotation of what a key, or an index, leads to."""
    bare = _branches(at)[0]
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        fields = (field for name, field in bare.model_fields.items() if part in (name, field.alias))
        return next((field.annotation for field in fields), Any)
    inner = [one for one in get_args(bare) if one is not Ellipsis]
    if not inner:
        return Any
    if isinstance(part, int) and get_origin(bare) is tuple and Ellipsis not in get_args(bare):
        return inner[part] if part < len(inner) else Any
    return inner[-1]
