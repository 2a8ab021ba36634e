"""Creates that were begun and came into no state are told, and ended where a person says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from providers.base import Capability
from providers.renting.memory.journal import Journal
from scripts.crossover.__main__ import app
from scripts.crossover.stack import orphans
from scripts.crossover.stack.state import Known
from scripts.crossover.stack.surgery import begun
from tests.support.market import IDENTITY, Market, registered, rented

NAME = rented(1).name


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Market:
    """The only one; the stack `prod` is up and has no machine there."""
    made = Market(visibility_s=0.0)
    registered(monkeypatch, made)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    monkeypatch.setattr(orphans, "stacks", lambda: ["prod"])
    known_to_prod(monkeypatch)
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.of("crossover", "prod", {"PULUMI_BACKEND_URL": f"file://{tmp_path}"})


def known_to_prod(monkeypatch: pytest.MonkeyPatch, *machines: str, busy: bool = False) -> None:
    monkeypatch.setattr(orphans, "known_machines", lambda stack: Known(frozenset(machines), busy, IDENTITY))


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["orphans", *arguments])


def test_one_that_nothing_shows_is_no_all_clear(cloud: Market, journal: Journal) -> None:
    """Audit 3 and 9: a key that left the program, or a stack that was destroyed, has no `up` that would look for it."""
    journal.begin(NAME, "fake")
    done = run()
    assert done.exit_code == 1
    assert f"a machine {NAME} at fake may bill" in done.stderr


def test_what_bills_nothing_is_none(cloud: Market, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.capabilities = frozenset({Capability.BILLS_NOTHING})
    registered(monkeypatch, cloud)
    journal.given_up(NAME, "fake", "m-1")
    assert run().exit_code == 0


def test_what_a_state_has_or_may_get_is_none(cloud: Market, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.answered(journal.begin(NAME, "fake"), "m-1")
    known_to_prod(monkeypatch, "fake/m-1")
    assert run().exit_code == 0
    known_to_prod(monkeypatch, busy=True)
    assert run("--terminate", "--yes").exit_code == 0
    assert len(journal.open()) == 1


@pytest.mark.parametrize("machine_id", ["", "m-1"])
def test_it_is_looked_for_and_ended_where_a_person_says_so(cloud: Market, journal: Journal, machine_id: str) -> None:
    """Audit 9: by its name, or by the id that was given up; and the journal is clean then."""
    intent = journal.begin(NAME, "fake")
    if machine_id:
        journal.answered(intent, machine_id)
    listed = rented(1, owned=False)  # it has no tags yet
    cloud.machines[listed.id] = listed
    done = run("--terminate", "--yes")
    assert "ending fake/m-1" in done.stdout
    assert (cloud.machines, journal.open()) == ({}, [])


def test_what_a_state_has_is_not_ended_although_its_answer_came_into_no_journal(
    cloud: Market, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 9: the disk was full when the create was answered, so that the intent has a name alone."""
    journal.begin(NAME, "fake")
    serving = rented(1)
    cloud.machines[serving.id] = serving
    known_to_prod(monkeypatch, "fake/m-1")
    assert run("--terminate", "--yes").exit_code == 0
    assert (set(cloud.machines), journal.open()) == ({"m-1"}, [])


@pytest.mark.parametrize("machine_id", ["", "m-1"])
@pytest.mark.parametrize("stack_id", [IDENTITY, "0badcafe"])
def test_what_runs_for_a_state_that_was_moved_elsewhere_is_told_and_not_ended(
    cloud: Market, journal: Journal, monkeypatch: pytest.MonkeyPatch, machine_id: str, stack_id: str
) -> None:
    """Audit 4: the journal stayed behind, and the stack is not here any more, or was made anew."""
    if stack_id == IDENTITY:
        monkeypatch.setattr(orphans, "stacks", list)
    journal.answered(journal.begin(NAME, "fake"), machine_id)
    serving = rented(1, stack_id=stack_id)
    cloud.machines[serving.id] = serving
    done = run("--terminate", "--yes")
    assert (done.exit_code, set(cloud.machines), len(journal.open())) == (1, {"m-1"}, 1)
    assert "may bill" in done.stderr


def test_one_that_cannot_be_ended_stays_in_the_journal_and_is_told(cloud: Market, journal: Journal) -> None:
    journal.given_up(NAME, "fake", "m-1")
    cloud.terminate_fails = True
    done = run("--terminate", "--yes", "--json")
    assert (done.exit_code, len(journal.open())) == (1, 1)
    assert any("fake/m-1 may bill" in line for line in json.loads(done.stdout)["trouble"])


def test_a_destroyed_stack_says_what_may_bill(
    cloud: Market, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    """Audit 3: `scripts/down` ended what the state knew, and said that nothing was left."""
    assert begun.main(["organization/crossover/prod"]) == 0
    journal.begin(NAME, "fake")
    assert begun.main(["prod"]) == 1
    assert NAME in capsys.readouterr().err
    assert begun.main(["dev"]) == 0
