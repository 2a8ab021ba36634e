"""`crossover weights record` and doctor's line on weights, against a strict hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from images.weights import records
from providers.preflight import Grade
from scripts.crossover.__main__ import app
from scripts.crossover.commands.weights import record as command
from scripts.crossover.doctor import weights as doctor
from scripts.crossover.stack.engine import StackError
from tests.support.hub import COMMIT, LocalHub, Repository, local_hub, record

MODEL = "org/tiny"
FILES = {"config.json": b"{}", "model.safetensors": b"0123456789"}


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with local_hub() as made:
        made.repositories[MODEL] = Repository({**FILES, "README.md": b"# tiny"}, gated=True)
        made.tokens = {"hf_member": True, "hf_stranger": False}
        yield made


def test_a_record_is_what_the_files_are_under_the_commit(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch becomes its commit; small files, of which the hub tells no SHA-256, are read."""
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    monkeypatch.setattr(records, "REPOSITORY", tmp_path)
    (tmp_path / records.FOLDER).mkdir(parents=True)
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    done = CliRunner().invoke(app, ["weights", "record", f"{MODEL}@main", "--endpoint", hub.endpoint, "--json"])
    told = json.loads(done.stdout)
    path = f"images/weights/records/org--tiny@{COMMIT}.json"
    assert told == {"path": path, "revision": COMMIT, "files": 2, "bytes": 12}
    written = json.loads((tmp_path / path).read_text())
    assert written == {"model": MODEL, "revision": COMMIT, "files": record(FILES)}
    assert set(hub.sent) == {"config.json"}
    assert records.name_of(MODEL, COMMIT) == path


def test_who_may_not_read_is_told_so(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    done = CliRunner().invoke(app, ["weights", "record", MODEL, "--endpoint", hub.endpoint])
    assert (done.exit_code, "is gated, and no token was sent" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("token", "level", "words"),
    [
        ("hf_member", Grade.OK, "may be fetched: 0.0 GiB"),
        ("hf_stranger", Grade.FAIL, "not on its list"),
        ("hf_wrong", Grade.FAIL, "refuses the token"),
        (None, Grade.WARN, "cannot be read here"),
    ],
)
def test_doctor_asks_the_hub_before_anything_is_rented(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, token: str | None, level: Grade, words: str
) -> None:
    def pulumi(*arguments: str) -> str:
        assert arguments == ("config", "get", "--stack", "s", "--path", "crossover:apiKeys.hf")
        if token is None:
            raise StackError("no passphrase")
        return f"{token}\n"

    monkeypatch.setattr(doctor, "pulumi", pulumi)
    (check,) = doctor.weights("s", _values(hub.endpoint))
    assert (check.name, check.level, words in check.detail) == (f"weights of {MODEL}", level, True)
    assert token is None or token not in f"{check.detail} {check.remedy}"


def test_doctor_only_warns_where_the_hub_cannot_be_reached_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "pulumi", lambda *arguments: "hf_member")
    (check,) = doctor.weights("s", _values("http://127.0.0.1:9"))
    assert check.level is Grade.WARN


def test_doctor_has_no_line_where_nothing_comes_from_the_hub() -> None:
    serving = {"model": MODEL, "servedName": "tiny", "engine": "simulator"}
    assert doctor.weights("s", {"serving": serving}) == []


def _values(endpoint: str) -> dict[str, Any]:
    source = {"source": "hf", "tokenSecret": "hf", "endpoint": endpoint}
    return {"serving": {"model": MODEL, "servedName": "tiny", "weights": source}}
