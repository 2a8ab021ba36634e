"""Where in a model a validation error lies: the keys as the user wrote them, and which others could stand beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from strict.fields import Given

Loc = tuple[int | str, ...]


@dataclass(frozen=True)
class Spot:
    """Where an error lies."""

    place: Loc
    """Without what pydantic puts in for the branch of a union, or for a map's key itself."""
    siblings: tuple[str, ...]
    """The keys of the model whose field the last of `place` is, or was meant to be; none where that is no model."""
    tags: tuple[str, ...] = ()
    """By which the value there says what it is, if it is a union whose members say so by a field of theirs."""


def spot(model: type[BaseModel], loc: Loc) -> Spot:
    """Of an error's `loc`, which begins in that model."""
    place: list[int | str] = []
    siblings: tuple[str, ...] = ()
    at: Any = model
    for part in loc:
        branches = _branches(at)
        if len(branches) > 1 and (taken := _tagged(at, part) or _taken(branches, part)) is not None:
            at = taken
            continue
        at = branches[0] if len(branches) == 1 else next((one for one in branches if _holds(one, part)), None)
        if part == "[key]":
            continue
        siblings = _keys(at)
        place.append(part)
        at = _inside(at, part)
    return Spot(tuple(place), siblings, tuple(_tags(at)))


def _branches(at: Any) -> list[Any]:
    """What a value may be, None left out; each member of a union still with its tag."""
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    if get_origin(at) not in (Union, UnionType):
        return [at]
    branches = [one for one in get_args(at) if one is not NoneType]
    return _branches(branches[0]) if len(branches) == 1 else branches


def _tagged(at: Any, part: int | str) -> Any:
    """The branch that `part` names where it is a tag."""
    return _tags(at).get(part) if isinstance(part, str) else None


def _tags(at: Any) -> dict[str, Any]:
    """Tag → branch, of a union whose members say by a field of theirs which they are."""
    while get_origin(at) in (Union, UnionType) and len(inner := [o for o in get_args(at) if o is not NoneType]) == 1:
        at = inner[0]
    field = next((extra.discriminator for extra in getattr(at, "__metadata__", ()) if isinstance(extra, FieldInfo)), "")
    if not isinstance(field, str) or not field:
        return {}
    return {tag: one for one in _branches(at) for tag in get_args(one.model_fields[field].annotation)}


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
