"""Property values: nothing is lost on the way, and a diff names what changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.provider import PropertyDiffKind

from providers.plugin.values import UNKNOWN, contains_unknown, detailed_diff, plain, wrapped, wrapped_map

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_a_plain_value_comes_back_as_it_went(value: Any) -> None:
    assert plain(wrapped(value)) == value


@given(st.dictionaries(st.text(min_size=1), PLAIN, max_size=5))
def test_equal_inputs_have_no_diff(value: dict[str, Any]) -> None:
    assert detailed_diff(value, value, list(value), frozenset()) == {}


def test_a_diff_names_the_path_and_the_kind() -> None:
    olds = {"bundle": {"files": {"a.cfg": {"content": "1"}, "b": 1}}, "list": [1, 2], "gone": 1}
    news = {"bundle": {"files": {"a.cfg": {"content": "2"}, "c": 1}}, "list": [1, 3], "new": 1}
    diff = detailed_diff(olds, news, ["bundle", "list", "gone", "new"], frozenset())
    assert {path: change.kind for path, change in diff.items()} == {
        'bundle.files["a.cfg"].content': PropertyDiffKind.UPDATE,
        "bundle.files.b": PropertyDiffKind.DELETE,
        "bundle.files.c": PropertyDiffKind.ADD,
        "list[1]": PropertyDiffKind.UPDATE,
        "gone": PropertyDiffKind.DELETE,
        "new": PropertyDiffKind.ADD,
    }


def test_another_machine_replaces_an_install_and_another_address_does_not() -> None:
    old = {"machine": {"id": "local/m-1", "address": "127.0.0.1"}}
    replacing = frozenset({"machine.id"})
    kinds = [
        {path: change.kind.name for path, change in detailed_diff(old, new, ["machine"], replacing).items()}
        for new in (
            {"machine": {"id": "local/m-2", "address": "127.0.0.1"}},
            {"machine": {"id": "local/m-1", "address": "127.0.0.2"}},
            {"machine": UNKNOWN},
        )
    ]
    assert kinds == [{"machine.id": "UPDATE_REPLACE"}, {"machine.address": "UPDATE"}, {"machine": "UPDATE_REPLACE"}]


def test_unknown_is_found_at_any_depth() -> None:
    assert contains_unknown({"a": [{"b": UNKNOWN}]})
    assert not contains_unknown({"a": [{"b": "x"}]})


def test_secret_properties_are_marked_as_a_whole() -> None:
    values = wrapped_map({"key": {"a": "b"}, "name": "n"}, frozenset({"key"}))
    assert values["key"].is_secret
    assert not values["name"].is_secret
