"""Nodes that can be kept apart."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_guard.arithmetic.placement import placement


@pytest.mark.parametrize(
    ("ladders", "limit", "possible"),
    [
        ({"a": [("l", "1")], "b": [("l", "2")]}, 1, True),
        ({"a": [("l", "1")], "b": [("l", "1")]}, 1, False),
        ({"a": [("l", "1")], "b": [("l", "1")]}, 2, True),
        ({"a": [("l", "1")], "b": [("runpod", "1")]}, 1, True),
        ({"a": [("l", "1"), ("l", "2")], "b": [("l", "1")]}, 1, True),
        (
            {"a": [("l", "1"), ("l", "2")], "b": [("l", "1"), ("l", "2")], "c": [("l", "2")]},
            1,
            False,
        ),
        ({"a": [("vastai", "US")], "b": [("vastai", "US")]}, 1, True),
        ({"a": [("aws", "us-east-1")], "b": [("aws", "us-east-1")]}, 1, True),
    ],
    ids=[
        "two regions",
        "one region",
        "limit two",
        "two clouds",
        "second rung",
        "pigeons",
        "hosts decide",
        "zones decide",
    ],
)
def test_placement(ladders: dict[str, list[tuple[str, str]]], limit: int, possible: bool) -> None:
    """Possible exactly if some choice of rungs keeps to the limit. On Vast.ai a host is the domain, at AWS a zone."""
    assert (placement(ladders, limit, {"vastai", "aws"}) is not None) is possible


@given(
    st.dictionaries(
        st.sampled_from("abcde"), st.lists(st.sampled_from("123"), min_size=1, max_size=3), min_size=1, max_size=5
    ),
    st.integers(1, 2),
)
def test_placement_agrees_with_trying_everything(nodes: dict[str, list[str]], limit: int) -> None:
    """Augmenting paths find a placement if and only if one exists, and what they find keeps to the limit."""
    ladders = {key: [("lambda", region) for region in regions] for key, regions in nodes.items()}
    possible = any(all(choice.count(region) <= limit for region in choice) for choice in product(*nodes.values()))
    found = placement(ladders, limit)
    assert (found is not None) is possible
    if found is not None:
        assert all(found[key] in {f"lambda/{region}" for region in regions} for key, regions in nodes.items())
        assert all(list(found.values()).count(domain) <= limit for domain in found.values())
