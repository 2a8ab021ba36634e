"""What the state alone knows of creates that were cut off, the journal knows before the state forgets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers import registry
from providers.base import Owner
from providers.renting.memory.journal import Journal
from providers.renting.naming import machine_name
from scripts.crossover.stack.surgery.pending import remembered

NAME = machine_name(Owner("p", "s", "inference", "a", 2, "1a2b"))


class Slow:
    """A cloud that may hide a machine."""

    visibility_s = 300.0


@pytest.fixture(autouse=True)
def clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is asked for more than its window."""
    monkeypatch.setattr(registry, "cloud", lambda name: Slow())


def pending(kind: str = "creating", type_: str = "gpucloud:index:Node") -> dict[str, Any]:
    inputs = {
        "key": "a", "role": "inference", "project": "p", "stack": "s", "generation": 2, "stackId": "1a2b",
        "candidates": [
            {"cloud": "lambda", "region": "r1"}, {"cloud": "runpod", "region": "r2"},
            {"cloud": "lambda", "region": "r3"},
        ],
    }  # fmt: skip
    return {"pending_operations": [{"type": kind, "resource": {"type": type_, "inputs": inputs}}]}


def test_a_pending_create_is_an_intent_at_each_cloud_of_its_ladder(tmp_path: Path) -> None:
    """Audit 3: where there is no journal, as on a CI runner, the pending create in the state is the intent."""
    journal = Journal(tmp_path / "intents")
    assert remembered(pending(), journal) == [f"lambda/{NAME}", f"runpod/{NAME}"]
    assert {(intent.cloud, intent.name, intent.machine_id) for intent in journal.open()} == {
        ("lambda", NAME, ""), ("runpod", NAME, ""),
    }  # fmt: skip


def test_an_intent_that_the_plugin_has_written_keeps_its_time_and_its_machine(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "intents", now=lambda: 1_000.0)
    known = journal.answered(journal.begin(NAME, "lambda"), "i-1")
    later = Journal(journal.folder, now=lambda: 2_000.0)
    assert remembered(pending(), later) == [f"runpod/{NAME}"]
    assert known in later.open([NAME])


@pytest.mark.parametrize("deployment", [{}, pending(kind="updating"), pending(type_="gpucloud:index:Install")])
def test_nothing_else_is_one(tmp_path: Path, deployment: dict[str, Any]) -> None:
    journal = Journal(tmp_path / "intents")
    assert remembered(deployment, journal) == []
    assert journal.open() == []
