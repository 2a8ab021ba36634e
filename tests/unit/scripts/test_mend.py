"""Which backup takes the place of a state in pieces, and who holds a lock."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripts.locks import LockHolder, holders, started_at
from scripts.mend import NoBackup, mend, written_at


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The file of stack `dev` in a backend at tmp_path, cut in the middle."""
    file = tmp_path / ".pulumi/stacks/crossover/dev.json"
    file.parent.mkdir(parents=True)
    file.write_text(checkpoint("2026-11-30T10:00:00Z", "newest")[:60])
    return file


def checkpoint(when: str, what: str) -> str:
    latest = {"manifest": {"time": when}, "resources": [{"urn": what}]}
    return json.dumps({"version": 3, "checkpoint": {"stack": "s", "latest": latest}})


def put(backend: Path, name: str, text: str) -> None:
    file = backend / ".pulumi" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def urn(file: Path) -> str:
    found: str = json.loads(file.read_text())["checkpoint"]["latest"]["resources"][0]["urn"]
    return found


def test_the_backup_that_the_engine_wrote_last_is_put_back_wherever_it_lies(state: Path, tmp_path: Path) -> None:
    put(tmp_path, "stacks/crossover/dev.json.bak", checkpoint("2026-11-30T09:00:00Z", "bak"))
    put(tmp_path, "backups/crossover/dev/dev.17.json", checkpoint("2026-11-30T09:30:00Z", "backups"))
    put(tmp_path, "history/crossover/dev/dev-16.checkpoint.json", checkpoint("2026-11-30T08:00:00Z", "history"))
    [said] = mend(tmp_path, "dev")
    assert urn(state) == "backups"
    assert "dev.17.json of 2026-11-30T09:30:00Z" in said


def test_a_backup_in_pieces_is_passed_over(state: Path, tmp_path: Path) -> None:
    put(tmp_path, "stacks/crossover/dev.json.bak", checkpoint("2026-11-30T09:59:00Z", "bak")[:50])
    put(tmp_path, "history/crossover/dev/dev-16.checkpoint.json", checkpoint("2026-11-30T08:00:00Z", "history"))
    mend(tmp_path, "dev")
    assert urn(state) == "history"


def test_the_pieces_are_kept_under_a_name_that_is_no_stacks(state: Path, tmp_path: Path) -> None:
    pieces = state.read_text()
    put(tmp_path, "stacks/crossover/dev.json.bak", checkpoint("2026-11-30T09:00:00Z", "bak"))
    for number in (1, 2):
        state.write_text(pieces)
        mend(tmp_path, "dev")
        assert (state.parent / f"dev.damaged-{number}").read_text() == pieces
    assert [file.name for file in state.parent.glob("*.json")] == ["dev.json"]


def test_a_state_that_can_be_read_is_left_alone(state: Path, tmp_path: Path) -> None:
    """One without resources too: that is what a stack has before its first `up`."""
    put(tmp_path, "stacks/crossover/dev.json.bak", checkpoint("2026-11-30T09:00:00Z", "bak"))
    for text in (checkpoint("2026-11-30T10:00:00Z", "newest"), '{"version":3,"checkpoint":{"latest":null}}'):
        state.write_text(text)
        assert mend(tmp_path, "dev") == []
        assert state.read_text() == text


@pytest.mark.parametrize("broken", ["", "\0\0\0\0", '{"md5":"', "[]"])
@pytest.mark.parametrize("name", ["stacks/crossover/dev.json", "meta.yaml"])
def test_broken_attributes_beside_a_whole_file_go(state: Path, tmp_path: Path, name: str, broken: str) -> None:
    """The engine (3.259) reads no file that has them: `failed to load checkpoint: EOF`; without them it does."""
    whole = {"stacks/crossover/dev.json": checkpoint("2026-11-30T10:00:00Z", "newest"), "meta.yaml": "version: 1\n"}
    for file, text in whole.items():
        put(tmp_path, file, text)
        put(tmp_path, f"{file}.attrs", '{"md5":"5tcNFvrqcioJkmr6NaZwLA=="}')
    assert mend(tmp_path, "dev") == []
    put(tmp_path, f"{name}.attrs", broken)
    [said] = mend(tmp_path, "dev")
    assert f"{Path(name).name}.attrs" in said
    assert not (tmp_path / ".pulumi" / f"{name}.attrs").exists()
    assert {file: (tmp_path / ".pulumi" / file).read_text() for file in whole} == whole


@pytest.mark.parametrize("broken", ["", "\0\0\0\0", "version:", "vers"])
def test_what_the_store_says_of_itself_is_left_to_the_engine_where_it_cannot_be_read(
    state: Path, tmp_path: Path, broken: str
) -> None:
    """It calls the whole store corrupt otherwise, and writes a file that is not there anew."""
    state.write_text(checkpoint("2026-11-30T10:00:00Z", "newest"))
    put(tmp_path, "meta.yaml", broken)
    [said] = mend(tmp_path, "dev")
    assert "meta.damaged-1" in said
    assert [file.name for file in (tmp_path / ".pulumi").glob("meta*")] == ["meta.damaged-1"]


def test_a_stack_that_was_removed_does_not_come_back(state: Path, tmp_path: Path) -> None:
    state.rename(state.with_name("dev.json.bak"))
    assert mend(tmp_path, "dev") == []


def test_of_another_stack_no_backup_is_taken(state: Path, tmp_path: Path) -> None:
    put(tmp_path, "backups/crossover/dev2/dev2.17.json", checkpoint("2026-11-30T09:30:00Z", "other"))
    put(tmp_path, "stacks/elsewhere/dev.json.bak", checkpoint("2026-11-30T09:30:00Z", "other"))
    with pytest.raises(NoBackup, match=rf"--stack-id --terminate .* `mv {state} {state}\.damaged`, and scripts/up"):
        mend(tmp_path, "dev")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"checkpoint": 1}', "{}", '"checkpoint"', "[" * 10**5])
def test_what_is_no_checkpoint_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert written_at(tmp_path / "x.json") is None


def holder(since: datetime, pid: int = os.getpid(), hostname: str = "here") -> LockHolder:
    return LockHolder(pid, hostname, "me", since.isoformat())


def test_a_process_began_when_the_clock_says_that_it_did() -> None:
    began = started_at(os.getpid())
    assert began is not None
    assert began <= time.time()
    assert started_at(2**22 + 1) is None


def test_an_engine_lives_that_began_before_its_lock() -> None:
    assert holder(datetime.now(UTC)).may_live("here")


def test_a_process_that_began_after_the_lock_is_another_one() -> None:
    assert not holder(datetime.now(UTC) - timedelta(days=30)).may_live("here")


def test_of_another_computer_or_without_a_time_it_may_live() -> None:
    assert holder(datetime.now(UTC) - timedelta(days=30), hostname="there").may_live("here")
    assert LockHolder(os.getpid(), "here", "me", "?").may_live("here")


def test_a_lock_that_is_just_being_written_may_be_alive(tmp_path: Path) -> None:
    put(tmp_path, "locks/organization/crossover/dev/1.json", '{"pid":')
    [found] = holders(tmp_path, "dev")
    assert found.may_live("here")
