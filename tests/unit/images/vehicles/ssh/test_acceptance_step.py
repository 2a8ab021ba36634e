"""The step that examines GPUs: what it says, what it finds, and how it ends."""

from __future__ import annotations

from typing import Any, cast

import pytest

from images.bundle import Bundle, GpuDemand
from images.gpu.acceptance.evidence import Evidence
from images.remote.errors import UnsuitableMachine
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.vehicles.ssh.steps import examination
from images.vehicles.ssh.steps.examination import GPUS_FOUND
from images.vehicles.ssh.steps.installation import Installation
from images.vehicles.ssh.steps.order import STEPS
from tests.unit.images.gpu.examinations import Machine, healthy
from tests.unit.images.gpu.situations import DEMAND
from tests.unit.images.samples import layout


class Played:
    """A machine that answers as it was examined."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
        self.machine = machine
        self.asked = 0
        self.said: list[str] = []
        monkeypatch.setattr(examination, "examine", self.examine)

    def examine(self, *_: object) -> Evidence:
        self.asked += 1
        return self.machine.evidence

    def run(self, demand: GpuDemand | None = DEMAND) -> dict[str, str]:
        nobody: Any = cast(Any, None)
        bundle = Bundle(role="inference", gpu=demand)
        under_way = Installation(nobody, layout(bundle), (), Waiting(), self.said.append, Mask([]))
        under_way.gpus = self.machine.facts if demand else None
        examination.examine_gpus(under_way)
        return under_way.found


def test_a_bundle_without_a_demand_costs_no_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, healthy())
    assert machine.run(None) == {}
    assert (machine.asked, machine.said) == (0, [])


def test_a_healthy_machine_is_asked_once_and_that_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, healthy())
    assert machine.run() == {GPUS_FOUND: "passed by 8 GPUs"}
    assert (machine.asked, machine.said) == (1, [])


def test_what_could_not_be_found_out_is_told_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, healthy().column(7, "[N/A]", 0))
    told = "nvidia-smi does not tell MIG's mode of GPU 0"
    assert machine.run() == {GPUS_FOUND: f"passed by 8 GPUs; {told}"}
    assert machine.said == [f"GPUs: {told}"]


def test_a_machine_that_fails_is_not_accepted_with_all_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus."
    machine = Played(monkeypatch, healthy().answers("kernel", line).column(5, "Disabled", 1))
    with pytest.raises(UnsuitableMachine) as failure:
        machine.run()
    assert str(failure.value).endswith(
        f'is not accepted. GPU 3 fell off the bus (Xid 79: "{line}"): give the machine back: raise its generation, or '
        "choose another region, SKU or cloud. GPU 1 has ECC off: `nvidia-smi -e 1` there, and reboot it"
    )


def test_a_machine_that_is_to_be_given_back_is_not_to_be_rebooted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that fell off the bus is a lost one, and CUDA sees fewer: one remedy for all."""
    line = "NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus."
    lost = healthy().answers("kernel", line).column(6, "[GPU is lost]").answers("cuda", "0 7")
    with pytest.raises(UnsuitableMachine) as failure:
        Played(monkeypatch, lost).run()
    told = str(failure.value)
    assert told.endswith("GPU 3 is lost (nvidia-smi: [GPU is lost]). CUDA sees 7 GPUs, and nvidia-smi 8")
    assert ("give the machine back" in told, "reboot" in told) == (True, False)


def test_gpus_are_examined_once_they_are_prepared_and_before_anything_is_started() -> None:
    names = [step.name for step in STEPS]
    assert names.index("examining GPUs") == names.index("preparing GPUs") + 1
    assert names.index("examining GPUs") < names.index("bringing services up to date")
