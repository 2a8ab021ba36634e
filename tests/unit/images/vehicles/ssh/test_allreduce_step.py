"""The step that measures GPUs' links: whom it asks, what it finds, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from images.bundle import Bundle, GpuDemand
from images.gpu.acceptance.allreduce.measuring import AllReduce
from images.remote.errors import UnsuitableMachine
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.steps import allreduce
from images.vehicles.ssh.steps.allreduce import LINKS_FOUND, measure_links
from images.vehicles.ssh.steps.installation import Installation
from tests.unit.images.gpu.examinations import healthy
from tests.unit.images.gpu.situations import DEMAND
from tests.unit.images.samples import layout


class Linked:
    """A machine whose links have that figure."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, measured: AllReduce) -> None:
        self.measured = measured
        self.asked: list[bool] = []
        """Whether it was to be measured, each time."""
        monkeypatch.setattr(allreduce, "all_reduce", self.all_reduce)

    def all_reduce(self, *_: object, measure: bool) -> AllReduce:
        self.asked.append(measure)
        return self.measured

    def run(
        self, demand: GpuDemand | None = DEMAND, services: dict[str, str] | None = None, python: str = "/venv/python"
    ) -> dict[str, str]:
        nobody: Any = cast(Any, None)
        bundle = Bundle(role="inference", gpu=demand)
        under_way = Installation(nobody, layout(bundle), (), Waiting(), lambda _: None, Mask([]))
        under_way.gpus, under_way.interpreter = healthy().facts, python
        under_way.probe = Probe(services=services or {})
        measure_links(under_way)
        return under_way.found


FINE = AllReduce(232.0, "2026-11-29")


def test_a_new_machine_is_measured_and_that_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Linked(monkeypatch, FINE)
    assert "232 GB/s" in machine.run()[LINKS_FOUND]
    assert machine.asked == [True]


@pytest.mark.parametrize("state", ["RUNNING", "STARTING", "active", "activating"])
def test_where_a_service_runs_only_an_old_figure_is_read(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    machine = Linked(monkeypatch, FINE)
    machine.run(services={"vllm": state})
    assert machine.asked == [False]


def test_a_service_that_is_down_takes_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Linked(monkeypatch, FINE)
    machine.run(services={"vllm": "inactive"})
    assert machine.asked == [True]


@pytest.mark.parametrize("demand", [None, replace(DEMAND, least_gb_per_s=0.0)])
def test_nobody_is_asked_where_nothing_is_wanted(monkeypatch: pytest.MonkeyPatch, demand: GpuDemand | None) -> None:
    machine = Linked(monkeypatch, FINE)
    assert (machine.run(demand), machine.asked) == ({}, [])


def test_an_engine_without_a_python_that_is_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Linked(monkeypatch, FINE)
    assert (machine.run(python=""), machine.asked) == ({}, [])


def test_links_that_are_too_slow_end_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Linked(monkeypatch, FINE)
    with pytest.raises(UnsuitableMachine, match=r"is not accepted\..*232 GB/s of at least 500.*reboot"):
        machine.run(replace(DEMAND, least_gb_per_s=500.0))


def test_a_failure_ends_the_install_and_an_absence_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsuitableMachine, match="GPU 3: NCCL"):
        Linked(monkeypatch, AllReduce(wrong="GPU 3: NCCL error")).run()
    assert Linked(monkeypatch, AllReduce(absent="no torch")).run() == {}
