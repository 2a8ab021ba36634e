"""The script that measures an all-reduce, over a real SSH, with a program in place of the engine's Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from images.gpu.acceptance.allreduce import measuring
from images.gpu.acceptance.allreduce.measuring import RECORD, AllReduce, all_reduce
from images.remote.connection import Connection
from images.remote.errors import CommandFailed
from images.remote.waiting import Waiting
from tests.integration.images.conftest import Bench
from tests.unit.images.gpu.examinations import healthy

SAYS = """echo "$@" >>"$0.asked"; test -s "$2" || exit 9"""
"""What it was asked goes to a file beside it; the program that it is to run is there."""

Measure = Callable[..., AllReduce]


@pytest.fixture
def bench(new_bench: Callable[..., Bench]) -> Bench:
    return new_bench()


@pytest.fixture
def measure(bench: Bench, tmp_path: Path) -> Measure:
    def measured(answer: str = "", *, engine: str = "0.32.0", take: bool = True) -> AllReduce:
        python = tmp_path / "python"
        if answer:
            python.write_text(f"#!/bin/sh\n{SAYS}\n{answer}\n")
            python.chmod(0o755)
        with Connection.open(bench.host, bench.machine.private_key) as connection:
            found = healthy().facts
            return all_reduce(connection, bench.host.root, str(python), found, engine, Waiting(60), measure=take)

    return measured


def test_it_is_measured_once_for_what_the_machine_has(measure: Measure, tmp_path: Path) -> None:
    """4e9 bytes in 35 ms over 8 GPUs: 2 × 7/8 × 4 / 0.035 = 200 GB/s."""
    first = measure("""echo warning >&2; echo '{"bytes": 4000000000, "seconds": 0.035}'""")
    assert first.gb_per_s == pytest.approx(200.0)
    assert measure() == first
    asked = (tmp_path / "python.asked").read_text().splitlines()
    assert len(asked) == 1
    assert asked[0].split()[0] == "-I"
    assert asked[0].split()[2:] == ["8", str(measuring.SIZE_BYTES), str(measuring.ROUNDS), "nccl"]
    assert measure(engine="0.33.0").gb_per_s == pytest.approx(200.0)
    assert len((tmp_path / "python.asked").read_text().splitlines()) == 2


def test_where_the_gpus_are_taken_only_what_is_known_is_read(measure: Measure, tmp_path: Path) -> None:
    assert measure("exit 1", take=False) == AllReduce(absent="the GPUs serve")
    assert not (tmp_path / "python.asked").exists()


def test_a_failure_is_no_record(measure: Measure) -> None:
    assert measure("""echo '{"wrong": "GPU 3: NCCL error"}'""").wrong == "GPU 3: NCCL error"
    assert measure("""echo '{"absent": "no torch"}'""").absent == "no torch"
    assert measure("""echo '{"bytes": 4000000000, "seconds": 0.035}'""").gb_per_s


def test_one_that_hangs_is_ended_and_told(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "LIMIT_S", 1)
    assert "does not end within 1 s" in measure("exec sleep 600").wrong


def test_an_answer_that_is_none_says_what_was_said(measure: Measure) -> None:
    with pytest.raises(CommandFailed, match="Illegal instruction"):
        measure("echo 'Illegal instruction' >&2; exit 132")


def test_nothing_of_the_program_stays(measure: Measure, bench: Bench) -> None:
    measure("""echo '{"bytes": 4000000000, "seconds": 0.035}'""")
    record = Path(bench.host.root) / RECORD
    assert [path.name for path in record.parent.iterdir()] == [record.name]
