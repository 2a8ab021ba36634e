"""Where an error becomes a line for a person: `key: what is wrong; what to do`, with file and line where there are any.

Every reader of configuration, scenarios, waivers and data files parses through here, so that the same mistake is told
in the same words everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from strict.numbers import shown
from strict.places import Lines, key_of, told
from strict.shape import Loc, Spot, spot

_Model = TypeVar("_Model", bound=BaseModel)

MISSING = "missing; it has no default, set it"
UNKNOWN = "unknown key"
_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_TYPES = {"int_": "a whole number", "float_": "a number", "bool_": "true or false", "string_type": "a text"}
"""How the names of pydantic's errors begin, and what the value was to be."""


class Problems(ValueError):
    """What was given cannot be used. `lines` has one line for each thing to mend."""

    def __init__(self, lines: str | Iterable[str]) -> None:
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        super().__init__("\n".join(self.lines))


@dataclass(frozen=True)
class Problem:
    """One thing to mend."""

    place: Loc
    """The keys that lead to it, as the user wrote them; an item of a list by its index."""
    words: str
    """What is wrong and what to do; of the whole, it begins with its key itself."""

    def line(self, prefix: str = "") -> str:
        """`key: words`; `prefix` is what keys are called by, e.g. "crossover:"."""
        return f"{prefix}{key_of(self.place)}: {self.words}" if self.place else f"{prefix}{self.words}"

    def located(self, lines: Lines, under: Iterable[str] = ()) -> str:
        """`file:line: key: words`, where the data stand in the file below `under`."""
        return told(lines.file, lines.at((*under, *map(str, self.place))), key_of(self.place), self.words)


def parse(
    model: type[_Model],
    data: object,
    prefix: str = "",
    error: type[Problems] = Problems,
    *,
    values: bool = True,
    by_name: bool | None = False,
) -> _Model:
    """A model of plain data. Raises `error`, its lines with `prefix` before each key.

    `values` is whether a refused value may be shown: not where it might be a secret. Keys are camelCase; `by_name=None`
    leaves it to the model whether they may be spelt as in Python too.
    """
    if not isinstance(data, Mapping):
        whole = prefix.rstrip(".:")
        raise error(f"{whole}{': ' if whole else ''}{_expected('a map of keys', data, values)}")
    try:
        return model.model_validate(dict(data), by_name=by_name)
    except ValidationError as invalid:
        raise error(problem.line(prefix) for problem in problems(model, invalid, values=values)) from None


@contextmanager
def within(lines: Lines) -> Iterator[None]:
    """What Problems raised inside say of keys of that file then names it, and their lines."""
    try:
        yield
    except Problems as error:
        raise type(error)(lines.located(error.lines)) from None


def problems(model: type[BaseModel], error: ValidationError, *, values: bool = True) -> list[Problem]:
    """What is wrong with data that are no such model.

    A key that is missing only because it was misspelt is said once, as the misspelling. Pydantic calls a list whose
    items are all bad too short as well: that is left out.
    """
    details = error.errors(include_url=False)
    spots = [spot(model, detail["loc"]) for detail in details]
    meant = {
        (*found.place[:-1], near)
        for found, detail in zip(spots, details, strict=True)
        if detail["type"] == "extra_forbidden" and (near := nearest(str(found.place[-1]), found.siblings))
    }
    places = [found.place for found in spots]
    return [
        Problem(_place(found, detail), _words(found, detail, values))
        for found, detail in zip(spots, details, strict=True)
        if not (detail["type"] == "missing" and found.place in meant)
        and not (detail["type"] == "too_short" and any(_inside(place, found.place) for place in places))
    ]


def about(key: str, text: str) -> PydanticCustomError:
    """What a validator of a whole model refuses, said of one of its keys."""
    return PydanticCustomError("crossover", "{text}", {"text": text, "key": key})


def unknown(key: str, known: Iterable[str]) -> str:
    """ "unknown key (did you mean nodes?)", or which keys there are."""
    names = list(known)
    near = nearest(key, names)
    return f"{UNKNOWN} (did you mean {near}?)" if near else f"{UNKNOWN}; known are {', '.join(names) or 'none'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "did you mean budget?", or "known are …"."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near}?" if near else f"known are {', '.join(names)}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant: the most alike, or the same but for case, dashes and underscores."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    folded = {one.lower(): one for one in names}
    return near[0] if near else folded.get(name.lower().replace("_", "").replace("-", ""))


def _place(found: Spot, detail: ErrorDetails) -> Loc:
    context = detail.get("ctx", {})
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return (*found.place, str(context["discriminator"]).strip("'"))
    key = context.get("key")
    return (*found.place, key) if isinstance(key, str) else found.place


def _inside(place: Loc, outer: Loc) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _words(found: Spot, detail: ErrorDetails, values: bool) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return unknown(str(found.place[-1]), found.siblings)
    if kind == "missing":
        return MISSING
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return _expected("a map of keys", value, values)
    if kind in ("tuple_type", "list_type"):
        return _expected("a list", value, values)
    if kind == "too_short":
        return "must not be empty"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _untold(found.tags, detail)
    if (must := _must(kind, detail.get("ctx", {}))) is None:
        return detail["msg"].removeprefix("Value error, ")
    return f"must be {must}" + (f", got {shown(value)}" if values else "")


def _untold(tags: Iterable[str], detail: ErrorDetails) -> str:
    must = f"must be {' or '.join(tags)}"
    tag = detail.get("ctx", {}).get("tag")
    return f"missing; it {must}" if tag is None else f"{must}, got {shown(tag)}"


def _must(kind: str, context: Mapping[str, Any]) -> str | None:
    """What a value of pydantic's own checks must be; None where it says that well enough itself."""
    if kind == "literal_error":
        return str(context.get("expected"))
    if kind in _BOUNDS:
        return f"{_BOUNDS[kind]} {next(iter(context.values()))}"
    if kind == "string_pattern_mismatch":
        return f"of the form {context['pattern']}"
    return next((must for begins, must in _TYPES.items() if kind.startswith(begins)), None)


def _expected(what: str, value: object, values: bool) -> str:
    return f"expected {what}, got {shown(value) if values else type(value).__name__}"
