"""The journal of intents outlives what wrote it, is its owner's alone, and says when nothing may be rented."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from providers.errors import Unavailable
from providers.renting.memory.journal import Journal
from providers.renting.memory.place import stack_folder
from tests.support.clouds import Clock

S3, NONE = (hashlib.sha256(backend).hexdigest()[:12] for backend in (b"s3://bucket", b""))
"""Stacks of one name in two backends are two."""


@pytest.fixture
def clock() -> Clock:
    made = Clock()
    made.now = 1_790_000_000.0
    return made


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Journal:
    return Journal(tmp_path / "a" / "intents", clock)


def test_an_intent_is_open_until_it_ends_and_knows_its_age(journal: Journal, clock: Clock) -> None:
    """Audit 3: written before the create, found by another process by the machine's name."""
    intent = journal.begin("n-1", "lambda")
    clock.now += 90
    (found,) = Journal(journal.folder, clock).open(["n-1"])
    assert (found.name, found.cloud, found.machine_id, journal.age_s(found)) == ("n-1", "lambda", "", 90.0)
    assert journal.open(["n-2"]) == []
    journal.end(intent)
    assert journal.open() == []


def test_the_answer_is_kept_until_the_state_holds_that_machine(journal: Journal, clock: Clock) -> None:
    """Audit 3: a plugin may be killed after the answer and before the engine has stored it."""
    journal.answered(journal.begin("n-1", "lambda"), "i-1")
    clock.now += 5
    assert journal.age_of("lambda", "i-1") == 5.0
    assert journal.age_of("lambda", "i-2") == 0.0
    journal.settled("lambda", "i-2")
    assert [intent.machine_id for intent in journal.open(["n-1"])] == ["i-1"]
    journal.settled("lambda", "i-1")
    assert journal.open() == []


def test_a_name_may_have_been_asked_for_at_two_clouds(journal: Journal, clock: Clock) -> None:
    journal.begin("n-1", "lambda")
    clock.now += 1
    journal.begin("n-1", "runpod")
    assert [intent.cloud for intent in journal.open(["n-1"])] == ["lambda", "runpod"]


def test_its_files_are_its_owners_alone_whatever_the_umask(journal: Journal) -> None:
    before = os.umask(0)
    try:
        journal.begin("n-1", "lambda")
    finally:
        os.umask(before)
    (file,) = journal.folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (journal.folder, journal.folder.parent)} == {0o700}


def test_what_cannot_be_written_refuses_to_rent_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"nothing was rented: .*file/intents cannot be written"):
        Journal(tmp_path / "file" / "intents").begin("n-1", "lambda")


def test_a_file_that_somebody_wrote_into_is_an_intent_all_the_same(journal: Journal) -> None:
    journal.begin("n-1", "lambda")
    (file,) = journal.folder.iterdir()
    file.write_text("{")
    (found,) = journal.open(["n-1"])
    assert (found.name, found.cloud, found.machine_id) == ("n-1", "lambda", "")


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"PULUMI_BACKEND_URL": "file:///x/y z"}, "/x/y z/.crossover/p/s"),
        ({"PULUMI_BACKEND_URL": "s3://bucket", "XDG_STATE_HOME": "/state"}, f"/state/crossover/{S3}/p/s"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/people/me"}, f"/people/me/.local/state/crossover/{NONE}/p/s"),
    ],
)
def test_it_lies_beside_a_file_backends_state_else_in_the_users_state_folder(
    environment: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/people/me")
    assert stack_folder("p", "organization/p/s", environment) == Path(folder)


def test_no_name_leads_out_of_the_folder() -> None:
    there = stack_folder("../../etc", "a", {"PULUMI_BACKEND_URL": "file:///x"})
    assert there == Path("/x/.crossover/..%2F..%2Fetc/a")


@pytest.mark.parametrize("body", ['["at"]', '{"at": "0001-01-01"}', "[" * 100_000, '{"at": 7}', '{"at": "9999-12-31"}'])
def test_whatever_stands_in_a_file_it_is_an_intent_by_its_files_name(journal: Journal, body: str) -> None:
    """Audit 3: and it can be ended."""
    intent = journal.begin("n-1", "lambda")
    journal.path(intent).write_text(body)
    (found,) = journal.open(["n-1"])
    journal.end(found)
    assert journal.open() == []


def test_a_second_run_does_not_begin_what_a_first_one_has_begun(journal: Journal) -> None:
    """Audit 3 and 15: two engines with one journal, as after a lock that was broken while the first one lived."""
    first = journal.begin("n-1", "lambda")
    with pytest.raises(Unavailable, match=r"another run is creating n-1 at lambda"):
        journal.begin("n-1", "lambda")
    assert journal.open() == [first]


def test_an_answer_makes_the_machine_as_young_as_it_may_be(journal: Journal, clock: Clock) -> None:
    """Audit 1: a launch may wait minutes between its intent and its create, and "gone" is said by the age."""
    intent = journal.begin("n-1", "lambda")
    clock.now += 250
    journal.answered(intent, "i-1")
    clock.now += 5
    assert journal.age_of("lambda", "i-1") == 5.0


def test_a_folder_that_cannot_be_listed_is_no_empty_journal(tmp_path: Path) -> None:
    (tmp_path / "intents").write_text("")
    with pytest.raises(Unavailable, match="cannot be read"):
        Journal(tmp_path / "intents").open()
