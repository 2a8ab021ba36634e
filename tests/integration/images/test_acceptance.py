"""The examination of GPUs over a real SSH, by programs that replay what nvidia-smi says, or hang."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from images.gpu.acceptance import examining
from images.gpu.acceptance.evidence import Evidence
from images.remote.connection import Connection
from images.remote.waiting import Waiting
from tests.integration.images.conftest import Bench
from tests.support.smi import QUESTIONS
from tests.unit.images.gpu.examinations import Machine, healthy

SCRIPT = Path(examining.__file__).with_name("examine.sh")
XID = "NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus."


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def stand_ins(folder: Path, machine: Machine, hangs: str = "") -> Path:
    """nvidia-smi, python3, journalctl and dmesg of that machine."""
    for name, answer in machine.evidence.answers.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in answer.lines))
    places = {name: shlex.quote(str(folder / f"{name}.txt")) for name in machine.evidence.answers}
    cases = [
        f"{shlex.quote(asked[:-1])}*) {'exec sleep 600' if name == hangs else f'exec cat {places[name]}'} ;;"
        for asked, name in QUESTIONS.items()
    ]
    program(folder / "nvidia-smi", "\n".join(['case "$*" in', *cases, "*) exit 2 ;;", "esac"]))
    program(folder / "python3", f"exec cat {places['cuda']}")
    program(folder / "journalctl", f"echo 'Linux version'; cat {places['kernel']}")
    program(folder / "dmesg", f"echo '[ 0.1] Linux version'; sed 's/^/[ 12.5] /' {places['kernel']}")
    return folder


@pytest.fixture
def ask(new_bench: Callable[..., Bench], tmp_path: Path) -> Callable[..., Evidence]:
    def asked(machine: Machine, hangs: str = "", each_s: int = 20) -> Evidence:
        folder = stand_ins(tmp_path, machine, hangs)
        bench = new_bench(path=f"{folder}:/usr/local/bin:/usr/bin:/bin:/usr/sbin")
        with Connection.open(bench.host, bench.machine.private_key) as connection:
            return examining.examine(connection, Waiting(60), each_s)

    return asked


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_script_is_sh(shell: str) -> None:
    done = subprocess.run([shell, "-n"], input=SCRIPT.read_text(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("model", ["a100", "h100"])
def test_all_that_a_machine_says_arrives_as_it_was_said(ask: Callable[..., Evidence], model: str) -> None:
    machine = healthy(model).answers("kernel", XID)
    assert ask(machine) == machine.evidence


def test_a_program_that_hangs_costs_its_own_time_and_no_other_answer(ask: Callable[..., Evidence]) -> None:
    machine = healthy()
    began = time.monotonic()
    evidence = ask(machine, hangs="links", each_s=8)  # the others need none of it, but on a computer that stands still
    assert time.monotonic() - began < 30
    assert evidence.of("links").status == 124
    assert {n: a for n, a in evidence.answers.items() if n != "links"} == {
        n: a for n, a in machine.evidence.answers.items() if n != "links"
    }
