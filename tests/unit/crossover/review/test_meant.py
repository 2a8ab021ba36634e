"""A reviewer is told in words what changes beside figures and resources: model, context, ceilings, what is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.meant import meant
from scripts.crossover.review.review import Review
from scripts.crossover.stack.config import StackConfig
from scripts.crossover.stack.verdict import Side
from strict.places import Lines
from tests.unit.crossover.review.conftest import config


def side(**values: Any) -> Side:
    return Side("", StackConfig(values, Lines("f", {})))


def ladder(*ceilings: float | None) -> dict[str, Any]:
    rungs = [{"cloud": "c"} | ({} if usd is None else {"maxUsdPerHour": usd}) for usd in ceilings]
    return {"nodes": {"a": {"candidates": rungs}}}


@pytest.mark.parametrize(
    ("now", "before", "what", "was", "is_now"),
    [
        ({"serving": {"model": "a/b"}}, {"serving": {"model": "c/d"}}, "the model", "c/d", "a/b"),
        ({"serving": {"maxModelLen": 131072}}, {"serving": {}}, "the longest context, in tokens", "", "131072"),
        ({"serving": {"engine": "vllm"}}, {"serving": {"engine": "simulator"}}, "the engine", "simulator", "vllm"),
        ({"generations": {"a": 2}}, {}, "the generation: its machine is replaced (node a)", "", "2"),
        ({"gateway": {"placement": "nodes"}}, {}, "where the gateway runs", "", "nodes"),
        ({"gateway": {"managedBudgetUsdPerMonth": 90000}}, {"gateway": {"managedBudgetUsdPerMonth": 5000}},
         "what the gateway may spend at managed APIs, USD a month", "5000", "90000"),
        ({"fleet": ladder(24, 500)}, {"fleet": ladder(24, 30)},
         "the ceiling, USD an hour (node a, candidate 2)", "30", "500"),
        ({"clouds": {"aws": {"rootGb": 16384}}}, {}, "the disk of each node, GB (cloud aws)", "", "16384"),
        ({"models": {"coder": {"serving": {"model": "a/b"}}}}, {"models": {"coder": {"serving": {"model": "c/d"}}}},
         "the model (model coder)", "c/d", "a/b"),
    ],
)  # fmt: skip
def test_it_is_said(now: dict[str, Any], before: dict[str, Any], what: str, was: str, is_now: str) -> None:
    (told,) = meant(side(**now), side(**before))
    assert (told.what, told.before, told.now) == (what, was, is_now)


def test_a_ceiling_that_nobody_sets_is_none_and_what_has_a_default_is_that() -> None:
    (ceiling,) = meant(side(fleet=ladder(24)), side(fleet=ladder(None)))
    (context,) = meant(side(serving={"maxModelLen": 131072}), side(serving={}))
    assert (ceiling.unsaid, context.unsaid) == ("none", "the default")


def test_what_stays_and_what_is_new_says_nothing() -> None:
    assert meant(side(serving={"model": "a/b"}), side(serving={"model": "a/b"})) == ()
    assert meant(side(serving={"model": "a/b"}), Side("HEAD")) == ()
    assert meant(side(serving={"model": "a/b"}), None) == ()


def test_the_comment_says_it_above_the_table(reviewed: Callable[..., Review]) -> None:
    """Of an audit: a pull request to 131,072 tokens looked like an empty one."""
    serving = {"engine": "simulator", "model": "meta-llama/Llama-3.3-70B-Instruct", "servedName": "llama-70b"}
    comment = render(reviewed(config(2, serving={**serving, "maxModelLen": 131072}), config(2)))
    said = "- the longest context, in tokens: the default → `131072`"
    assert f"**What changes for who uses it or pays for it:**\n{said}" in comment


def test_a_raised_budget_for_managed_apis_is_told_in_words_and_beside_the_cost(
    reviewed: Callable[..., Review],
) -> None:
    """Two nodes of $7,920 and $4,100 are $19,940; it may spend $90,000 besides, and is no dearer for what it serves."""
    before, now = ({"managedBudgetUsdPerMonth": usd} for usd in (5000, 90000))
    comment = render(reviewed(config(2, gateway=now), config(2, gateway=before)))
    said = "- what the gateway may spend at managed APIs, USD a month: `5000` → `90000`"
    assert comment.index(said) < comment.index("| Nodes |")
    row = "| … and what the gateway may spend at managed APIs besides, USD per month | $24,940 | $109,940 | +$85,000 "
    assert row in comment
    assert "besides, USD per month |" not in render(reviewed(config(2), config(2)))
