"""What `up` sees of services while it waits for them, on real machines: failures are told, and told soon."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Bundle, File, HttpCheck, Service
from images.engines.common.words import KnownFailure, words_of
from images.remote.errors import Cancelled, CheckFailed
from images.sources import repository_source
from images.vehicles.ssh.keepers.choice import KEEPERS
from tests.integration.images.conftest import Bench, echo
from tests.integration.images.kept import Node, with_supervisor, with_systemd
from tests.support.eventually import eventually

FAILURES = {f.name: f for f in words_of("vllm").failures}
TOLD_S = 60
"""A failed service is told within this time: an install has no more in these tests, and a check has far more."""
STAGES = "\n".join(s.example for s in words_of("vllm").stages)


@pytest.fixture(params=sorted(KEEPERS))
def node(request: pytest.FixtureRequest, new_bench: Callable[..., Bench], tmp_path: Path) -> Iterator[Node]:
    made = {"systemd": lambda: with_systemd(tmp_path), "supervisor": lambda: with_supervisor(new_bench())}
    yield from made[request.param]()


@pytest.fixture
def bench(new_bench: Callable[..., Bench]) -> Bench:
    return new_bench()


def engine_like(writes: str, then: str) -> Bundle:
    """One service that writes a log in vLLM's words and does what `then` says; its check has 25 minutes."""
    listen = "python3 @ROOT@/lib/echo.py @BIND@ @PORT:one@ @ROOT@/config/one.txt"
    command = ("sh", "-c", f"cat @ROOT@/config/log.txt; {then.replace('{listen}', listen)}")
    return Bundle(
        role="tiny",
        files=(File("config/one.txt", "one"), File("config/log.txt", f"{writes}\n")),
        sources=(repository_source("lib/echo.py", "tests/integration/images/echo.py"),),
        services=(echo("one", command=command, speaks="vllm"),),
        checks=(HttpCheck("one", "one", "/", deadline_s=1500),),
        secrets=("api-key",),
        programs=("python3",),
    )


@pytest.mark.slow  # two of them at both keepers: the next test
def test_a_failed_engine_is_told_within_a_minute_by_the_line_that_matters(bench: Bench) -> None:
    """Every known failure: its cited line, followed by a traceback's end that says nothing, then the process ends."""
    rest = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
    for failure in FAILURES.values():
        with pytest.raises(CheckFailed) as caught:
            bench.install(engine_like(f"{failure.example}\n{rest}", "exit 1"), deadline_s=TOLD_S)
        assert_told(failure, str(caught.value))


def assert_told(failure: KnownFailure, message: str) -> None:
    once = r"\((exit )?status 1\S*\)|"
    often = r"\d times within \d+ s, the last time with .*status 1"
    ended = often if failure.weight == "heals" else once + often
    assert re.search(rf"one will not be ready: one has ended ({ended})", message), message
    for words in (failure.says, failure.remedy, failure.example[:100]):
        assert words in message.replace("\\'", "'"), failure.name


@pytest.mark.parametrize("name", ["too-few-gpus", "port"])
def test_both_keepers_tell_an_end_and_a_circle_of_ends(node: Node, name: str) -> None:
    failure = FAILURES[name]
    with pytest.raises(CheckFailed) as caught:
        node.install(engine_like(failure.example, "exit 1"))
    assert_told(failure, str(caught.value))


def test_an_engine_that_is_lost_and_lives_on_is_told(bench: Bench) -> None:
    with pytest.raises(CheckFailed, match="one lives on and will not answer: its engine does not start"):
        bench.install(engine_like(FAILURES["engine"].example, "exec sleep 600"), deadline_s=TOLD_S)


def test_a_slow_engine_is_waited_for_whatever_it_writes_and_its_stages_are_shown(node: Node) -> None:
    """It lives on, so a line that looks like a failure was none."""
    said: list[str] = []
    writes = f"{FAILURES['out-of-memory'].example}\n{STAGES}"
    # A status is said every five seconds at most, and looked for every other second: here several times.
    report = node.install(engine_like(writes, "sleep 16; exec {listen}"), said.append)
    assert report.checks == ("one",)
    waited = [line for line in said if line.startswith("waiting for one: ")]
    assert "starting to listen" in waited[-1]
    assert len(waited) == len(set(waited)), "a status is said once"


def test_an_engine_that_ends_once_without_a_known_reason_is_waited_for(bench: Bench) -> None:
    """It came before what it needs."""
    first = bench.machine.folder / "first"
    there = shlex.quote(str(first))
    then = f"test -e {there} || {{ touch {there}; echo 'OSError: not yet'; exit 7; }}; sleep 4; exec {{listen}}"
    assert bench.install(engine_like("hello", then)).checks == ("one",)
    assert any("one has ended (exit status 7) and is started again: 'OSError: not yet'" in s for s in bench.said)


def test_what_a_known_failure_asks_of_the_machine_is_shown(new_bench: Callable[..., Bench], tmp_path: Path) -> None:
    """Who holds the GPUs: nvidia-smi's answer in the form of its version 550; the values are synthetic."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\n[ $1 != --query-compute-apps=* ] && echo 'GPU-6a1b, 4242, python3, 70000 MiB'\n")
    smi.chmod(0o755)
    bench = new_bench(path=f"{tmp_path}:/usr/local/bin:/usr/bin:/bin:/usr/sbin")
    with pytest.raises(CheckFailed) as caught:
        bench.install(engine_like(FAILURES["memory-held"].example, "exit 1"), deadline_s=TOLD_S)
    assert "GPU-6a1b, 4242, python3, 70000 MiB" in caught.value.log_tail


def test_a_failure_of_before_is_not_held_against_what_comes_after(node: Node) -> None:
    """The log still holds it, and the service was between two tries: it is started at once, and waited for."""
    with pytest.raises(CheckFailed):
        node.install(engine_like(FAILURES["flag"].example, "exit 2"))
    report = node.install(engine_like("mended", "sleep 3; exec {listen}"))
    assert (report.restarted, report.checks) == (("one",), ("one",))


def test_a_check_that_nobody_waits_for_any_more_ends_on_the_machine(bench: Bench) -> None:
    with pytest.raises(Cancelled):
        bench.install(
            engine_like("hello", "exec sleep 600"),
            cancelled=lambda: any("waiting for one" in line for line in bench.said),
        )
    asking = "Asks until the answer is the expected one"

    def left() -> list[list[str]]:
        return [argv for argv in bench.machine.processes().values() if any(asking in word for word in argv)]

    eventually(lambda: not left(), "the script's end")


def test_a_restart_does_not_meet_what_the_last_run_has_left(node: Node) -> None:
    """The worker of a process that was killed outlives it, and holds what the next one needs."""
    command = ("python3", "@ROOT@/lib/loader.py", "@BIND@", "@PORT:one@", "@ROOT@/data/lock")
    bundle = Bundle(
        role="tiny",
        sources=(repository_source("lib/loader.py", "tests/integration/images/loader.py"),),
        services=(Service("one", command, stop_timeout_s=5, has_workers=True, speaks="vllm"),),
        checks=(HttpCheck("one", "one", "/", deadline_s=20),),
        secrets=("api-key",),
        programs=("python3",),
        directories=("data",),
    )
    node.install(bundle)
    before = node.get("one")
    node.run(f"kill -KILL {before['pid']}")
    eventually(lambda: node.get("one").get("pid", before["pid"]) != before["pid"], "a new process")
    assert node.run(f"test -e /proc/{before['worker']}/exe && echo there") == ""
    eventually(lambda: node.inspect(bundle).healthy, "a healthy service")
    node.install(replace(bundle, services=(replace(bundle.services[0], environment={"A": "1"}),)))
    assert node.get("one")["worker"] not in (0, before["worker"])


def test_a_service_that_does_not_end_in_its_time_is_killed_and_that_is_told(node: Node) -> None:
    def deaf(stop_timeout_s: int, text: str) -> Bundle:
        bundle = engine_like(text, 'trap "" TERM; sleep 4; {listen} & while :; do sleep 1; done')
        return replace(bundle, services=(replace(bundle.services[0], stop_timeout_s=stop_timeout_s, has_workers=True),))

    said: list[str] = []
    node.install(deaf(2, "first"))
    node.install(deaf(2, "second"), said.append)
    assert "one did not end within its time and was killed" in said
