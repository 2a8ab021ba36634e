"""The committed stacks, as the gate judges them: an example that is refused teaches nobody."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.scenario.proposal import STACK_PREFIX, parse_scenario
from stacks.served import SCENARIO_KEYS
from tests.support.checkout import REPOSITORY
from tests.support.gate import verdict_of

STACKS = sorted((REPOSITORY / "stacks" / "config").glob("Pulumi.*.yaml"))
DAY = date(2026, 11, 23)


@pytest.mark.parametrize("path", STACKS, ids=[path.name for path in STACKS])
def test_each_committed_stack_goes_through(path: Path) -> None:
    """On the day of the catalogue nothing blocks."""
    config = yaml.safe_load(path.read_text("utf-8"))["config"]
    given = {key: config[STACK_PREFIX + key] for key in SCENARIO_KEYS if STACK_PREFIX + key in config}
    verdict = verdict_of(parse_scenario(given), load_catalogue(), DAY)
    assert [reason.code for reason in verdict.reasons if reason.level is Level.BLOCK] == []


def test_there_are_examples() -> None:
    """The list above is not empty by a slip of its path."""
    assert len(STACKS) >= 6
