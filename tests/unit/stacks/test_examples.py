"""The committed stacks, as the gate judges them: an example that is refused teaches nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.scenario.proposal import STACK_PREFIX
from cost_guard.verdict.judge import judge_stack
from cost_guard.verdict.verdict import Verdict
from stacks.settings import proposals_of
from tests.support.checkout import REPOSITORY

STACKS = sorted((REPOSITORY / "stacks" / "config").glob("Pulumi.*.yaml"))
FIRST_EDITION = yaml.safe_load((Path(__file__).parent / "first_edition.yaml").read_text("utf-8"))
DAY = date(2026, 11, 29)


def configured(path: Path) -> dict[str, Any]:
    config = yaml.safe_load(path.read_text("utf-8"))["config"]
    return {key.removeprefix(STACK_PREFIX): value for key, value in config.items()}


def judged(values: dict[str, Any]) -> Verdict:
    """As `up` would, where something bills."""
    return judge_stack(proposals_of(values, REPOSITORY), load_catalogue(), DAY)


def blocks(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons if reason.level is Level.BLOCK]


@pytest.mark.parametrize("path", STACKS, ids=[path.name for path in STACKS])
def test_each_committed_stack_goes_through(path: Path) -> None:
    """On the day of the catalogue nothing blocks, and the managed price is the catalogue's: none is chosen for the
    verdict."""
    values = configured(path)
    assert "usdPerMillionTokens" not in values["managed"]
    assert blocks(judged(values)) == []


def test_there_are_examples() -> None:
    """The list above is not empty by a slip of its path."""
    assert len(STACKS) >= 6


@pytest.mark.parametrize("name", FIRST_EDITION)
def test_a_stack_of_the_first_edition_that_runs_is_not_locked_out(name: str) -> None:
    """Within what was approved nothing blocks, though its price has no source and the weights cost less elsewhere."""
    verdict = judged(FIRST_EDITION[name])
    assert blocks(verdict) == []
    assert verdict.level is Level.WARN


@pytest.mark.parametrize("name", [name for name in FIRST_EDITION if name != "local"])
def test_a_new_stack_of_the_first_edition_must_say_more(name: str) -> None:
    """Without the baseline it is new: its price needs a source, and somebody's word against the same weights."""
    proposals = proposals_of(FIRST_EDITION[name], REPOSITORY)
    new = {key: replace(proposal, baseline=None, bills_money=True) for key, proposal in proposals.items()}
    assert {"managed-known", "same-weights"} <= set(blocks(judge_stack(new, load_catalogue(), DAY)))
