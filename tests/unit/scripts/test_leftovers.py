"""scripts.leftovers, with real machines of the cloud `local`'s client and real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.clouds.local.client import MARK, LocalClient
from scripts import leftovers
from tests.support.ports import local_config

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
"""A public key of the bytes 0 to 31: nobody has its private half."""


@pytest.fixture
def client(tmp_path: Path) -> LocalClient:
    return LocalClient(local_config(tmp_path / "local", tmp_path / "cache"))


def machine(client: LocalClient, stack: str) -> str:
    return client.create({"owner": {"stack": stack}}, {"ssh": 22}, KEY)


@pytest.fixture
def marked(client: LocalClient) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the machine m-1, which ignores SIGTERM."""
    source = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        env={**os.environ, MARK: f"{client.config.state}/m-1"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_machines_of_the_stack_are_ended_and_those_of_others_stay(client: LocalClient) -> None:
    mine, others = machine(client, "local"), machine(client, "dev")
    assert leftovers.end_machines(client, "local") == [mine]
    assert client.ids() == [others]


def test_a_process_of_a_machine_that_is_gone_is_killed(client: LocalClient, marked: subprocess.Popen[bytes]) -> None:
    """SIGTERM first, then SIGKILL."""
    assert leftovers.end_strays(client.config.state, grace_seconds=2) == {marked.pid: "m-1"}
    assert marked.wait(30) == -signal.SIGKILL


def test_a_process_of_a_machine_that_is_there_stays(client: LocalClient, marked: subprocess.Popen[bytes]) -> None:
    (client.config.state / "m-1").mkdir(parents=True)
    assert leftovers.end_strays(client.config.state, grace_seconds=2) == {}
    assert marked.poll() is None


def test_another_checkouts_process_stays(tmp_path: Path, marked: subprocess.Popen[bytes]) -> None:
    assert leftovers.strays(tmp_path / "another") == {}


def test_the_command_tells_what_it_ended(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSOVER_LOCAL_STATE", str(client.config.state))
    mine = machine(client, "local")
    assert leftovers.main(["local"]) == 0
    assert f"ended 1 machine(s) that the state did not know: {mine}" in capsys.readouterr().out
    assert leftovers.main(["local"]) == 0
    assert capsys.readouterr().out == "==> nothing of it is left on this computer\n"


def test_a_process_that_survives_is_a_failure_that_names_it(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSOVER_LOCAL_STATE", str(client.config.state))
    monkeypatch.setattr(leftovers, "strays", lambda state: {4_194_304: "m-1"})  # above the kernel's largest pid
    monkeypatch.setattr(leftovers, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(leftovers, "KILLED_S", 0.0)
    assert leftovers.main(["local"]) == 1
    assert "processes [4194304] of machines that are gone do not end" in capsys.readouterr().err
