"""Where an error becomes a line: the same words for every reader, the keys as they were written, nothing said twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import Discriminator, Field, SecretStr, Tag, model_validator

from strict.fields import Cidr, Given, ModelName, Section, form
from strict.numbers import Number
from strict.places import Lines
from strict.problems import Problems, about, did_you_mean, nearest, parse, problems, unknown, within


class Leaf(Section):
    """What stands at the end of every path."""

    node_count: Annotated[int, Field(ge=1)] = 1
    kind: Literal["a", "b"] = "a"


class Other(Section):
    """The other form of a union."""

    sku: str = ""


class Near(Section):
    """A form of a union that says so itself."""

    at: Literal["near"]
    near: str = ""


class Far(Section):
    """The other one."""

    at: Literal["far"]
    miles: Annotated[int, Field(gt=0, le=9)] = 1
    way: Annotated[str, form("[a-z]+", "small letters")] = "a"
    token: Annotated[str, form("[a-z]+", "a secret's name", show=False)] = "a"


class Tree(Section):
    """One of each way down to a leaf."""

    one: Leaf | None = None
    many: tuple[Leaf, ...] = ()
    some: Annotated[list[Leaf], Field(min_length=1)] = []  # noqa: RUF012
    named: dict[str, Leaf] = Field(default_factory=dict)
    deep: dict[str, tuple[Leaf, ...]] = Field(default_factory=dict)
    tagged: Annotated[
        Annotated[Leaf, Tag("leaf")] | Annotated[Other, Tag("other")],
        Discriminator(lambda data: "other" if "sku" in data else "leaf"),
    ] = Other()
    place: Annotated[Near | Far, Field(discriminator="at")] | None = None
    either: Annotated[Decimal, Number()] | tuple[Annotated[Decimal, Number()], ...] | None = None
    secrets: dict[str, SecretStr] = Field(default_factory=dict)
    name: Annotated[str, Given()] = ""


def lines(data: Any, prefix: str = "", **more: Any) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse(Tree, data, prefix, **more)
    return caught.value.lines


WRONG = {"nodeCont": 1}
TOLD = "unknown key (did you mean nodeCount?)"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"one": WRONG}, f"one.nodeCont: {TOLD}"),
        ({"many": [{}, WRONG]}, f"many[1].nodeCont: {TOLD}"),
        ({"some": [WRONG]}, f"some[0].nodeCont: {TOLD}"),
        ({"named": {"x": WRONG}}, f"named.x.nodeCont: {TOLD}"),
        ({"deep": {"x": [{}, WRONG]}}, f"deep.x[1].nodeCont: {TOLD}"),
        ({"tagged": WRONG}, f"tagged.nodeCont: {TOLD}"),
        ({"tagged": {"sku": "", "sk": 1}}, "tagged.sk: unknown key (did you mean sku?)"),
        ({"one": {"NODE-COUNT": 1}}, f"one.NODE-COUNT: {TOLD}"),
        ({"one": {"node_count": 1}}, f"one.node_count: {TOLD}"),
        ({"zzz": 1}, "zzz: unknown key; known are one, many, some, named, deep, tagged, place, either, secrets"),
        ({"one": {"kind": "c"}}, "one.kind: must be 'a' or 'b', got 'c'"),
        ({"one": 3}, "one: expected a map of keys, got 3"),
        ({"many": "x"}, "many: expected a list, got 'x'"),
        ({"some": []}, "some: must not be empty"),
        ({"place": {"at": "far", "mils": 1}}, "place.mils: unknown key (did you mean miles?)"),
        ({"place": {"at": "near", "near": 1}}, "place.near: must be a text, got 1"),
        ({"place": {"at": "here"}}, "place.at: must be near or far, got 'here'"),
        ({"place": {"near": "x"}}, "place.at: missing; it must be near or far"),
        ({"place": {"at": "far", "miles": 0}}, "place.miles: must be more than 0, got 0"),
        ({"place": {"at": "far", "miles": 10}}, "place.miles: must be at most 9, got 10"),
        ({"place": {"at": "far", "miles": "ten"}}, "place.miles: must be a whole number, got 'ten'"),
        ({"place": {"at": "far", "way": "A1"}}, "place.way: must be small letters, got 'A1'"),
        ({"place": {"at": "far", "token": "hf_A1"}}, "place.token: must be a secret's name"),
        ({"one": {"nodeCount": 0}}, "one.nodeCount: must be at least 1, got 0"),
        (3, "expected a map of keys, got 3"),
    ],
)
def test_a_mistake_is_one_line_wherever_it_stands(data: Any, line: str) -> None:
    """Through lists, maps, optional and tagged parts: with the keys as the user wrote them, and those that could be."""
    assert lines(data) == [line]


def test_what_follows_from_a_misspelt_key_or_a_bad_item_is_not_said_again() -> None:
    """The key that it was meant to be is then missing, and the list of it alone too short."""

    class Strict(Section):
        node_count: int

    with pytest.raises(Problems) as caught:
        parse(Strict, {"nodeCont": 1})
    assert caught.value.lines == ["nodeCont: unknown key (did you mean nodeCount?)"]
    with pytest.raises(Problems) as caught:
        parse(Strict, {})
    assert caught.value.lines == ["nodeCount: missing; it has no default, set it"]
    assert lines({"some": [3]}) == ["some[0]: expected a map of keys, got 3"]


def test_keys_are_told_as_they_are_called_outside() -> None:
    """In a stack's configuration with their namespace; the whole by it alone."""
    assert lines({"one": WRONG}, "crossover:") == [f"crossover:one.nodeCont: {TOLD}"]
    assert lines(3, "crossover:baseline.") == ["crossover:baseline: expected a map of keys, got 3"]


def test_a_value_that_might_be_secret_is_not_shown() -> None:
    """Its type is: that tells what is wrong."""
    assert lines({"secrets": "hunter2"}, values=False) == ["secrets: expected a map of keys, got str"]
    assert lines({"one": {"kind": "hunter2"}}, values=False) == ["one.kind: must be 'a' or 'b'"]
    assert lines({"one": {"nodeCount": "hunter2"}}, values=False) == ["one.nodeCount: must be a whole number"]
    assert lines("hunter2", values=False) == ["expected a map of keys, got str"]


def test_a_branch_of_a_union_is_no_key() -> None:
    """Pydantic names it in the place of an error."""
    assert {line.partition(":")[0] for line in lines({"either": [1, "x"]})} == {"either", "either[1]"}


def test_code_may_use_python_names_and_data_may_not() -> None:
    """So a typo of a user never reaches a default."""
    assert Leaf(node_count=2) == parse(Leaf, {"nodeCount": 2})
    assert parse(Leaf, {"node_count": 2}, by_name=None).node_count == 2


def test_a_problem_of_the_whole_may_speak_of_one_key() -> None:
    """Then it is shown where that key stands."""

    class Pair(Section):
        low: int = 0
        high: int = 0

        @model_validator(mode="after")
        def _in_order(self) -> Pair:
            if self.low > self.high:
                raise about("high", "is below low")
            return self

    try:
        Pair.model_validate({"low": 2, "high": 1})
    except ValueError as error:
        (problem,) = problems(Pair, error)  # type: ignore[arg-type]
    assert problem.line() == "high: is below low"
    assert problem.located(Lines("f.yaml", {("0", "high"): 7}), ("0",)) == "f.yaml:7: high: is below low"


def test_the_lines_of_a_file_are_told_by_whatever_error_it_is() -> None:
    """The kind of the error stays, so that who catches it still does."""

    class Special(Problems):
        pass

    lined = Lines("f.yaml", {("one",): 3})
    with pytest.raises(Special) as caught, within(lined):
        raise Special(["one: is wrong", "two: is wrong"])
    assert caught.value.lines == ["f.yaml:3: one: is wrong", "f.yaml:1: two: is wrong"]


def test_what_was_meant_is_named_or_else_what_there_is() -> None:
    assert nearest("break_even", ["budget", "break-even"]) == "break-even"
    assert did_you_mean("zzz", ["a", "b"]) == "known are a, b"
    assert unknown("zzz", []) == "unknown key; known are none"


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (ModelName, "a b", "is no model name"),
        (Cidr, "0.0.0.0/1", "is open to the world"),
        (Cidr, "everyone", "is no IPv4 range like"),
    ],
)
def test_fields_that_several_readers_share_say_what_they_take(kind: Any, value: str, said: str) -> None:
    class Holder(Section):
        field: kind

    with pytest.raises(Problems, match=said):
        parse(Holder, {"field": value})
