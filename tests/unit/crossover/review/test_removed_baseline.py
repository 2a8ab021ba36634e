"""A baseline that a pull request takes away counts until that is merged, and what follows is told and judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.formats.report import document
from scripts.crossover.review.review import Review, ReviewOutcome
from tests.unit.crossover.review.conftest import config

Reviewed = Callable[..., Review]
TWO = {"nodes": 2, "usdPerMonth": 19_940, "approvedBy": "a. person", "date": "2026-02-01"}
"""78 days before the tests' today: over the 30 of `volume-measured`."""
ASSERTED = {"tokensPerMonth": 6e9, "kind": "asserted", "peakToMean": 1.3}
RUNG = {"cloud": "quoted", "sku": "lambda-8x-a100-80gb"}


def bills(nodes: int, **more: Any) -> dict[str, Any]:
    """Of a cloud that bills: there an asserted volume blocks."""
    fleet = {"nodes": {key: {"candidates": [{**RUNG, "region": key}]} for key in "abcd"[:nodes]}}
    return config(workload=ASSERTED, fleet=fleet, **more)


def blocked(review: Review) -> list[str]:
    return [finding.rule for finding in review.findings if finding.level == "BLOCK"]


def test_its_age_counts_until_it_is_merged(reviewed: Reviewed) -> None:
    """Three nodes of $7,920 and $4,100 pay for 6B tokens at $5; that there are so many is asserted."""
    review = reviewed(bills(3), bills(2, baseline=TWO))
    assert blocked(review) == ["volume-measured"]
    assert "the fleet runs since 2026-02-01, 78 days" in render(review)


def test_that_it_is_removed_stands_above_the_table_and_who_approved_it_must_agree(reviewed: Reviewed) -> None:
    comment = render(reviewed(config(2), config(2, baseline=TWO)))
    told = comment.index("> 👀 **It removes the approved baseline** of 2 nodes, $19,940/month. It counts until this")
    assert told < comment.index("| Nodes |")
    assert "**Must agree**: a. person, for the baseline that it removes" in comment


def test_what_it_held_back_is_told_before_the_merge(reviewed: Reviewed) -> None:
    """1B tokens do not carry two nodes: within the baseline that is a repair, and without it `up` refuses."""
    review = reviewed(config(2, volume=1e9), config(2, volume=1e9, baseline=TWO))
    assert review.outcome is ReviewOutcome.BLOCK
    assert blocked(review) == ["break-even", "horizon", "probability"]
    assert "without the baseline that it removes: 1B tokens/month cost $19,940/month self-hosted" in render(review)
    found = document(review, strict=False)
    assert (found["head"]["verdict"]["verdict"], found["onceMerged"]["verdict"]) == ("WARN", "BLOCK")


def test_a_stack_without_one_counts_as_bought_now_and_the_comment_says_so(reviewed: Reviewed) -> None:
    """Not of a new stack, nor of one that has one."""
    said = "The stack has no `baseline`: its fleet counts as bought now."
    assert said in render(reviewed(config(2), config(2)))
    assert said not in render(reviewed(config(2, baseline=TWO), config(2, baseline=TWO)))
    assert said not in render(reviewed(config(2)))
