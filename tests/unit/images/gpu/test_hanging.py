"""nvidia-smi that never ends, and that no signal ends either: a person is told, long before the install's deadline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest

from images.bundle import GpuDemand
from images.gpu.acceptance import examining
from images.gpu.acceptance.finding import Remedy
from images.gpu.acceptance.judging import judge
from images.gpu.acting import LOOK_S, look
from images.gpu.facts import GpuFacts
from images.gpu.matrix import shipped
from images.remote.connection import Connection
from images.remote.errors import DeadlineExceeded, UnsuitableMachine
from images.remote.waiting import Waiting
from tests.unit.images.gpu.situations import DEMAND
from tests.unit.images.samples import BUNDLE, layout

ROOT = Path(examining.__file__).resolve().parents[3]


class Hung:
    """A machine whose scripts do not end: time passes up to the deadline that a script has."""

    host = layout(BUNDLE).host

    def __init__(self) -> None:
        self.now = 0.0

    def waiting(self, deadline_s: float) -> Waiting:
        return Waiting(deadline_s, clock=lambda: self.now)

    def run(self, *_: str, watch: Waiting, step: str, **__: Any) -> None:
        self.now += watch.remaining_s
        watch.check(step)

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)


@pytest.mark.parametrize(
    ("container", "remedy", "words"),
    [("", Remedy.REBOOT, "reboot it"), ("docker", Remedy.GIVE_BACK, "ive the machine back")],
)
def test_an_examination_that_does_not_end_is_no_answer(container: str, remedy: Remedy, words: str) -> None:
    hung = Hung()
    evidence = examining.examine(hung.connection, hung.waiting(3600), each_s=30)
    assert hung.now == 90
    demand: GpuDemand = DEMAND
    failing = [f for f in judge(GpuFacts(container=container), evidence, demand) if f.fails]
    told = {f.what: (f.remedy, words in str(f)) for f in failing}
    assert told["nvidia-smi's query could not be found out (it did not answer in time)"] == (remedy, True)


def test_a_look_that_does_not_end_says_what_to_do() -> None:
    hung = Hung()
    with pytest.raises(UnsuitableMachine, match=f"nvidia-smi does not answer within {LOOK_S} s.*reboot .*give the"):
        look(hung.connection, shipped(), hung.waiting(3600), packages=True)
    assert hung.now == LOOK_S


def test_where_the_install_s_own_time_is_over_that_is_told() -> None:
    hung = Hung()
    with pytest.raises(DeadlineExceeded, match="not done within 10 s, stopped while examining its GPUs"):
        examining.examine(hung.connection, hung.waiting(10))
    hung = Hung()
    with pytest.raises(DeadlineExceeded, match="not done within 10 s, stopped while looking at its GPUs"):
        look(hung.connection, shipped(), hung.waiting(10), packages=True)


def test_every_question_of_the_script_is_known() -> None:
    script = (ROOT / "images/gpu/acceptance/examine.sh").read_text()
    assert tuple(re.findall(r"^ask (\w+) ", script, re.MULTILINE)) == examining.QUESTIONS


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ("images/gpu/scripts/look.sh", "nvidia-smi"),
        ("images/gpu/scripts/services.sh", "nvidia-smi -pm"),
        ("images/gpu/scripts/load.sh", "modprobe nvidia"),
        ("images/vehicles/ssh/scripts/runtime.sh", '"$program" --version'),
    ],
)
def test_what_may_hang_is_ended_and_killed_where_it_does_not_end(script: str, calls: str) -> None:
    text = (ROOT / script).read_text()
    bounded = re.findall(rf"timeout -k 5 \d+ {re.escape(calls)}", text)
    assert bounded, script
    assert not re.search(r"timeout (?!-k)", text)
