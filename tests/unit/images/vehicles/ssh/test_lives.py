"""When waiting for a service has no sense any more. Times are those of an injected clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from images.bundle import Bundle, Service
from images.engines.common.words import words_of
from images.sources import REPOSITORY
from images.vehicles.ssh.keepers.keeper import Sign
from images.vehicles.ssh.lives import HANGING_S, MOST_DEATHS, PATIENCE_S, RECENT_S, Lives

FAILURES = {f.name: f for f in words_of("vllm").failures}
LOGS = REPOSITORY / "tests/unit/images/engines/logs"
BUNDLE = Bundle("r", services=(Service("vllm", ("x",), speaks="vllm"), Service("other", ("y",))))


@dataclass
class Bench:
    """Lives with a clock that is set by hand."""

    now_s: float = 1000.0
    lives: Lives = field(init=False)

    def __post_init__(self) -> None:
        self.lives = Lives(BUNDLE, clock=lambda: self.now_s)

    def dies(self, service: str = "vllm", how: str = "exit status 1") -> str:
        assert self.lives.take(Sign(service, exited=how, again=True)) == ""
        return "; ".join(self.lives.news())

    def writes(self, line: str, service: str = "vllm") -> None:
        self.lives.hear(service, line)

    @property
    def why(self) -> str:
        lost = self.lives.lost()
        return lost.why if lost else ""


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("name", [f.name for f in FAILURES.values() if f.weight == "fatal"])
def test_a_known_failure_ends_the_waiting_with_its_process_and_not_before(bench: Bench, name: str) -> None:
    failure = FAILURES[name]
    bench.writes(failure.example)
    bench.now_s += 1000
    assert bench.why == ""
    bench.dies()
    assert f"vllm has ended (exit status 1): {failure.says}. {failure.remedy}." in bench.why


@pytest.mark.parametrize("name", [f.name for f in FAILURES.values() if f.weight == "heals"])
def test_a_failure_that_may_heal_only_explains_a_circle_of_ends(bench: Bench, name: str) -> None:
    for _ in range(MOST_DEATHS):
        assert bench.why == ""
        bench.writes(FAILURES[name].example)
        bench.dies()
    assert f"vllm has ended {MOST_DEATHS} times within 0 s" in bench.why
    assert FAILURES[name].says in bench.why


@pytest.mark.parametrize(
    ("log", "name", "line"),
    [
        ("flag", "flag", "vllm: error: unrecognized arguments: --no-such-flag 3"),
        ("nomodel", "model-missing", "huggingface_hub.errors.HFValidationError: Repo id must be in the form"),
        ("nohub", "hub-unreachable", "OSError: We couldn't connect to 'https://huggingface.co' to load the files"),
        ("port", "port", "OSError: [Errno 98] Address already in use"),
    ],
)
def test_real_logs_are_told_by_their_last_words(bench: Bench, log: str, name: str, line: str) -> None:
    """Of a vLLM 0.32.0 (CPU build) with a wrong flag, no model, no network, a port in use; paths shortened."""
    for written in (LOGS / f"{log}.log").read_text().splitlines():
        bench.writes(written)
    for _ in range(MOST_DEATHS):
        bench.dies()
    assert FAILURES[name].says in bench.why
    assert line in bench.why.replace("\\'", "'")


def test_a_cause_is_told_before_what_follows_from_it(bench: Bench) -> None:
    bench.writes(FAILURES["engine"].example)
    bench.writes(FAILURES["heads"].example)
    bench.dies()
    assert FAILURES["heads"].says in bench.why


def test_an_engine_that_is_lost_and_does_not_end_is_told_after_its_time(bench: Bench) -> None:
    bench.writes(FAILURES["engine"].example)
    bench.now_s += HANGING_S
    assert bench.why == ""
    bench.now_s += 1
    assert "vllm lives on and will not answer: its engine does not start" in bench.why


@pytest.mark.parametrize("period_s", [2.0, 15.0, 22.0, 30.0, 44.0])
def test_a_circle_of_ends_is_told_within_a_minute_of_the_first(bench: Bench, period_s: float) -> None:
    """Whatever the time between two ends: a program that takes long to fail is looked at every other second."""
    first = bench.now_s
    bench.dies()
    next_s = first + period_s
    while not bench.why:
        bench.now_s += 2
        assert bench.now_s - first <= 60
        while next_s <= bench.now_s:
            bench.dies()
            next_s += period_s
    assert "the last time with exit status 1" in bench.why


def test_one_that_takes_minutes_to_fail_is_told_at_its_second_end(bench: Bench) -> None:
    bench.dies()
    bench.now_s += 300
    assert bench.why == ""
    bench.dies()
    assert "vllm has ended 2 times within 300 s" in bench.why


def test_one_that_recovered_is_waited_for(bench: Bench) -> None:
    for _ in range(MOST_DEATHS - 1):
        bench.dies()
        bench.now_s += 5
    bench.now_s += max(PATIENCE_S, RECENT_S)
    assert bench.why == ""


def test_the_line_that_matters_is_the_last_error(bench: Bench) -> None:
    bench.writes("Traceback (most recent call last):", "other")
    bench.writes('  File "x.py", line 1', "other")
    bench.writes("\x1b[31mOSError: cannot\x1b[0m", "other")
    bench.writes("bye", "other")
    told = bench.dies("other", "terminated by SIGKILL")
    assert bench.lives.news() == []
    assert told == "other has ended (terminated by SIGKILL) and is started again: 'OSError: cannot'"


def test_a_kill_at_a_stop_is_told_and_is_no_end_of_its_own(bench: Bench) -> None:
    assert bench.lives.take(Sign("vllm", killed=True)) == "vllm did not end within its time and was killed"
    assert [bench.lives.take(Sign("vllm", killed=True)) and bench.why for _ in range(MOST_DEATHS)] == [""] * 3


def test_a_stage_holds_until_the_next_or_the_end(bench: Bench) -> None:
    bench.writes("Starting to load model /m...")
    bench.writes("nothing of interest")
    assert bench.lives.stage(["vllm"]) == "loading weights"
    assert bench.lives.stage(["other"]) == ""
    bench.dies()
    assert bench.lives.stage(["vllm"]) == ""


def test_what_is_of_no_service_is_nothing(bench: Bench) -> None:
    bench.writes(FAILURES["flag"].example, "supervisord")
    assert bench.lives.take(Sign("")) == ""
    assert bench.why == ""


def test_a_service_without_an_engine_has_no_known_failures() -> None:
    bench = Bench()
    bench.lives = Lives(replace(BUNDLE, services=(Service("vllm", ("x",)),)), clock=lambda: 0)
    bench.writes(FAILURES["flag"].example)
    bench.dies()
    assert bench.why == ""
