"""One format for what is wrong in a file: `file:line: key: words`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_guard.scenario.scenario import ScenarioError
from strict import yaml as strict_yaml
from strict.places import Lines, key_of, place_of, told
from strict.problems import within
from strict.yaml import DEEPEST, configured

TEXT = """\
# a comment
a: 1
b:
  c: [x, {d: 2},
      {d: 3}]
"""


def test_a_place_is_told_as_compilers_do() -> None:
    """Without a key where the whole file is meant."""
    assert told("f.yaml", 3, "a.b", "missing; set it") == "f.yaml:3: a.b: missing; set it"
    assert told("f.yaml", 1, "", "is empty") == "f.yaml:1: is empty"


@given(st.lists(st.text("abcXYZ019_-", min_size=1) | st.integers(0, 99)))
def test_a_key_leads_back_to_its_place(place: list[str | int]) -> None:
    """Of names without dots and brackets."""
    assert place_of(key_of(place)) == tuple(map(str, place))


@pytest.mark.parametrize(
    ("place", "line"),
    [(("a",), 2), (("b", "c"), 4), (("b", "c", "0"), 4), (("b", "c", "2"), 5), (("b", "c", "2", "d"), 5),
     (("b", "c", "2", "e", "f"), 5), (("b", "e"), 3), (("e",), 1)],
)  # fmt: skip
def test_every_key_and_item_has_its_line(place: tuple[str, ...], line: int) -> None:
    """What is missing has that of what is around it."""
    _, lines = strict_yaml.load(TEXT, "f.yaml")
    assert lines.at(place) == line


def test_complaints_get_the_line_of_their_key_once() -> None:
    """Also with a namespace before the key; what names another file is left as it is."""
    lines = Lines("f.yaml", {("a",): 2, ("a", "b"): 7}, "crossover:")
    said = ["crossover:a.b: no", "a.b[0].c: no", "crossover:z: no", "no key: at all", "dir/u.yaml:5: a: no"]
    assert lines.located(said) == [
        "f.yaml:7: crossover:a.b: no",
        "f.yaml:7: a.b[0].c: no",
        "f.yaml:1: crossover:z: no",
        "f.yaml:1: no key: at all",
        "dir/u.yaml:5: a: no",
    ]
    with pytest.raises(ScenarioError) as caught, within(lines), within(Lines("inner", {})):
        raise ScenarioError(["a: no"])
    assert caught.value.lines == ["inner:1: a: no"]


def test_what_is_no_yaml_is_refused_with_its_line() -> None:
    """A byte that is no UTF-8, too."""
    for content, said in (
        (b"a: 1\nb: \xff\n", "f:2: is not UTF-8"),
        ("a: 1\na: 2\n", "f:2: a: stands twice; keep one"),
        ("a: 1\nb: [\n", "f:3: not YAML: "),
        ("a: 1\nb: !!bool x\n", "f:2: not YAML: a value does not fit the tag before it"),
        ("a: !!int ''\n", "f:1: not YAML: a value does not fit the tag before it"),
        ("a: !!timestamp x\n", "f:1: not YAML: a value does not fit the tag before it"),
    ):
        with pytest.raises(strict_yaml.DocumentError, match=f"^{said}"):
            strict_yaml.load(content, "f")


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 50_000])
def test_json_in_a_text_that_is_deeper_than_a_person_writes_stays_a_text(depth: int) -> None:
    """Who walks it, or shows it, would end in a RecursionError."""
    assert configured("[" * depth + "]" * depth) == "[" * depth + "]" * depth


def test_a_text_that_is_json_is_what_the_json_says() -> None:
    """`pulumi config set` stores a map so; what is no JSON is a text."""
    assert configured('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    assert configured("6e9") == 6e9
    assert configured("llama-70b") == "llama-70b"


def test_scalars_mean_what_they_mean_to_the_engine() -> None:
    """Its reader is of YAML 1.2, and PyYAML of 1.1: a file must not mean something else in a stack's configuration."""
    text = "a: yes\nb: Off\nc: 1:00:00\nd: 2026-09-01\ne: true\nf: 3\ng: 0.5\nh: False\ni: 1:30.5\n"
    data, _ = strict_yaml.load(text, "f")
    assert data == {
        "a": "yes", "b": "Off", "c": "1:00:00", "d": "2026-09-01", "e": True, "f": 3, "g": 0.5, "h": False,
        "i": "1:30.5",
    }  # fmt: skip
