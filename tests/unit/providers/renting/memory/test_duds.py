"""What had a dud is left out for a day, over processes, until somebody says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.renting.memory.duds import Duds
from tests.support.clouds import Clock

DAY_S = 24 * 60 * 60


@pytest.fixture
def clock() -> Clock:
    made = Clock()
    made.now = 1_790_000_000.0
    return made


def test_public_bug_8_a_dud_is_left_out_for_a_day_also_by_the_next_process(tmp_path: Path, clock: Clock) -> None:
    """Public bug 8: the next run rented the same broken machine, as it was the cheapest again."""
    Duds(tmp_path / "duds", clock).add("vastai/7/9", "vastai/123", "not reached in 1800 s")
    clock.now += DAY_S - 1
    (dud,) = Duds(tmp_path / "duds", clock).left_out().values()
    assert (dud.scope, dud.machine, dud.why) == ("vastai/7/9", "vastai/123", "not reached in 1800 s")
    clock.now += 1
    assert Duds(tmp_path / "duds", clock).left_out() == {}


def test_all_may_be_rented_again_once_they_are_forgotten(tmp_path: Path, clock: Clock) -> None:
    duds = Duds(tmp_path / "duds", clock)
    duds.add("vastai/7/9", "vastai/123", "dead")
    duds.add("lambda/us-east-1/gpu_8x_a100", "lambda/0a", "dead")
    assert [dud.scope for dud in Duds(tmp_path / "duds", clock).forget()] == [
        "lambda/us-east-1/gpu_8x_a100", "vastai/7/9",
    ]  # fmt: skip
    assert Duds(tmp_path / "duds", clock).left_out() == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"scope": "a"}', "\x00"])
def test_a_file_that_cannot_be_read_leaves_out_nothing(tmp_path: Path, clock: Clock, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert Duds(tmp_path, clock).left_out() == {}


def test_a_folder_that_cannot_be_written_costs_a_memory_and_no_machine(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "duds").write_text("a file in its place")
    duds = Duds(tmp_path / "duds", clock)
    duds.add("vastai/7/9", "vastai/123", "dead")
    assert [*duds.left_out()] == ["vastai/7/9"]
