"""The engine is started with the pack, on one day, and is ended when it hangs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.crossover.review.preview import engine
from scripts.crossover.review.preview.scrub import Scrubber
from scripts.crossover.stack.engine import StackError
from tests.support.eventually import eventually
from tests.support.processes import alive
from tests.unit.crossover.review.conftest import TODAY


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for scripts/pulumi: a text to be written there."""
    monkeypatch.setattr(engine, "REPOSITORY", tmp_path)
    path = tmp_path / "scripts" / "pulumi"
    path.parent.mkdir()
    path.touch(mode=0o755)
    return path


def test_it_is_told_the_pack_the_day_and_to_speak_in_events(script: Path, tmp_path: Path) -> None:
    script.write_text('#!/bin/sh\necho "$PULUMI_ENABLE_STREAMING_JSON_PREVIEW $CROSSOVER_TODAY $*" >&2\nexit 255\n')
    run = engine.preview("prod", TODAY, Scrubber())
    assert run.failures == (
        "true 2026-04-20 preview --stack prod --json --non-interactive --policy-pack policies",
    )  # fmt: skip
    (tmp_path / "levels.json").write_text("{}")
    (failure,) = engine.preview("prod", TODAY, Scrubber(), tmp_path / "levels.json").failures
    assert failure.endswith(f" --policy-pack-config {tmp_path / 'levels.json'}")


def test_one_that_hangs_is_ended_with_all_its_processes(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack with a wrong virtual environment does, for ever. The deadline begins when it hangs: on a busy computer it
    would else be over before the child is there."""
    children: list[int] = []

    class Hanging(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            told = tmp_path / "child"
            children.append(
                int(eventually(lambda: told.read_text() if told.exists() else "", "the engine has a child"))
            )

    monkeypatch.setattr(subprocess, "Popen", Hanging)
    monkeypatch.setattr(engine, "DEADLINE_S", 1.0)
    script.write_text(f"#!/bin/sh\nsleep 600 &\necho $! >{tmp_path}/child\nwait\n")
    run = engine.preview("prod", TODAY, Scrubber())
    assert run.failures == ("the preview did not end in 1 s and was stopped",)
    [child] = children
    eventually(lambda: not alive(child), "the child of the engine ends")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "error: no stack named 'prod' found",
            "The stack prod is not initialised in this backend: scripts/stack-init prod",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: incorrect passphrase",
            "The passphrase is not",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: passphrase must be set with "
            "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
            "The stack's secrets need their passphrase: set PULUMI_CONFIG_PASSPHRASE (in GitHub Actions",
        ),
        ("error: something else", ""),
    ],
)
def test_an_engine_that_fails_before_it_begins_is_told_with_what_to_do(script: Path, said: str, told: str) -> None:
    """The words are those of pulumi 3.259, as it was seen to say them."""
    script.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    (failure,) = engine.preview("prod", TODAY, Scrubber()).failures
    first, _, rest = failure.partition("\n")
    assert first == said
    assert rest.startswith(told)
    assert bool(rest) is bool(told)


def test_secret_values_are_found_at_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands beside a secret is none, and stays readable."""
    config = {
        "crossover:gateway": {
            "objectValue": {"managed": [{"name": "beside", "key": "within\na list"}], "other": "plain"},
            "secret": True,
        },
        "aws:token": {"value": "flat", "secret": True},
    }
    monkeypatch.setattr(engine, "pulumi", lambda *_: json.dumps(config))
    places = [("crossover:gateway", "managed", "0", "key"), ("aws:token",), ("crossover:gone", "x")]
    assert engine.secret_values("prod", places) == ["within\na list", "within", "a list", "flat", "flat"]


def test_secrets_that_cannot_be_decrypted_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preview fails on them with the engine's own words; a stack without secrets is not asked."""

    def refuse(*_: str) -> str:
        raise StackError("wrong passphrase")

    monkeypatch.setattr(engine, "pulumi", refuse)
    assert engine.secret_values("prod", [("crossover:apiKeys", "openai")]) == []
    assert engine.secret_values("prod", []) == []
