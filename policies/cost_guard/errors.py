"""From plain data to a Scenario or Baseline, or to lines that say which key is wrong, how, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cost_guard.scenario.fleet import FORM_MODELS, Candidate, LadderNode
from cost_guard.scenario.scenario import Baseline, Route, Scenario
from strict.numbers import shown
from strict.places import Lines, key_of

STACK_PREFIX = "crossover:"
"""How a key is called in a stack's config, e.g. crossover:workload.tokensPerMonth."""

_Model = TypeVar("_Model", bound=BaseModel)


class ScenarioError(ValueError):
    """The gate cannot evaluate: the data is bad or missing. `lines` has one line for each thing to mend."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def parse_scenario(data: object, prefix: str = STACK_PREFIX) -> Scenario:
    """The scenario of plain data. `prefix` is what its keys are called by. Raises ScenarioError."""
    return parse(Scenario, data, prefix)


def parse_baseline(data: object, prefix: str = STACK_PREFIX + "baseline.") -> Baseline:
    """The approved baseline of plain data. Raises ScenarioError."""
    return parse(Baseline, data, prefix)


def parse(model: type[_Model], data: object, prefix: str) -> _Model:
    """One of the models of this package from plain data. Raises ScenarioError, its lines with `prefix`."""
    if not isinstance(data, Mapping):
        whole = prefix.rstrip(".:")
        raise ScenarioError([f"{whole}{': ' if whole else ''}expected a map of keys, got {shown(data)}"])
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise ScenarioError(_lines(model, error, prefix)) from None


@contextmanager
def within(lines: Lines) -> Iterator[None]:
    """What a ScenarioError raised inside says of keys of that file then names it, and their lines."""
    try:
        yield
    except ScenarioError as error:
        raise ScenarioError(lines.located(error.lines)) from None


def _lines(model: type[BaseModel], error: ValidationError, prefix: str) -> list[str]:
    """One line each; a key that is missing only because it was misspelt is said once, as the misspelling.

    A complaint about the whole begins with its key itself. Pydantic calls a list whose items are all bad too short as
    well: that line is dropped.
    """
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    meant = {
        (*detail["loc"][:-1], suggestion)
        for detail in details
        if detail["type"] == "extra_forbidden" and (suggestion := _suggestion(model, detail["loc"]))
    }
    return [
        prefix + (f"{_path(detail['loc'])}: " if detail["loc"] else "") + _words(model, detail)
        for detail in details
        if not (detail["type"] == "missing" and detail["loc"] in meant)
        and not (detail["type"] == "too_short" and any(_inside(place, detail["loc"]) for place in places))
    ]


def _inside(place: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _words(model: type[BaseModel], detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        near = _suggestion(model, detail["loc"])
        known = ", ".join(_known_keys(model, detail["loc"]))
        return f"unknown key (did you mean {near}?)" if near else f"unknown key; known are {known}"
    if kind == "missing":
        return "missing; it has no default, set it"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"expected a map of keys, got {shown(value)}"
    if kind == "tuple_type":
        return f"expected a list, got {shown(value)}"
    if kind == "too_short":
        return "must not be empty"
    if kind == "literal_error":
        return f"must be {context.get('expected')}, got {shown(value)}"
    return detail["msg"]


def _suggestion(model: type[BaseModel], loc: tuple[int | str, ...]) -> str | None:
    near = get_close_matches(str(loc[-1]), _known_keys(model, loc), n=1)
    if near:
        return near[0]
    folded = {key.lower(): key for key in _known_keys(model, loc)}
    return folded.get(str(loc[-1]).lower().replace("_", "").replace("-", ""))


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that could stand where `loc` ends."""
    return [info.alias or name for name, info in _model_at(model, loc[:-1]).model_fields.items()]


def _model_at(model: type[BaseModel], parents: tuple[int | str, ...]) -> type[BaseModel]:
    """The model whose keys stand below `parents`, e.g. ("fleet", "ladder", "nodes", "a", "candidates", 0)."""
    if not parents:
        return model
    if parents[:2] == ("managed", "routes"):
        return Route
    if parents[0] != "fleet":
        annotation: Any = next(f for name, f in model.model_fields.items() if parents[0] in (name, f.alias)).annotation
        if get_origin(annotation) is tuple:  # of items like the first: its place is the second of the parents
            return _model_at(get_args(annotation)[0], parents[2:])
        return _model_at(annotation, parents[1:])
    if len(parents) <= 2:
        return FORM_MODELS[str(parents[-1])]
    return LadderNode if len(parents) == 4 else Candidate


def _path(loc: tuple[int | str, ...]) -> str:
    """The keys as the user wrote them: without the tag that pydantic puts in for the form of the fleet."""
    parts = [part for place, part in enumerate(loc) if not (place == 1 and loc[0] == "fleet" and part in FORM_MODELS)]
    return key_of(parts)
