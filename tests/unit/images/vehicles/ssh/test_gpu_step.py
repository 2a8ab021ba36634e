"""The step that brings GPUs: what it says, when it asks for a reboot's new connection, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from images.bundle import Bundle, GpuDemand
from images.gpu.actions import Action, Deed
from images.gpu.facts import GpuFacts
from images.remote.errors import CommandFailed, UnsuitableMachine
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.vehicles.ssh.steps import gpu
from images.vehicles.ssh.steps.installation import Installation, Reconnect
from tests.unit.images.gpu.situations import DEMAND, DRIVER, JUDGED, after, bare, done, vendor
from tests.unit.images.samples import layout


class Played:
    """A machine that does what scripts promise, or nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, facts: GpuFacts, *, idle: bool = False) -> None:
        self.facts, self.idle = facts, idle
        self.deeds: list[Deed] = []
        self.looks, self.asked_apt = 0, False
        self.said: list[str] = []
        monkeypatch.setattr(gpu, "look", self.look)
        monkeypatch.setattr(gpu, "perform", self.perform)
        monkeypatch.setattr(gpu, "forget_reboot", self.forget)

    def look(self, *_: object, packages: bool) -> GpuFacts:
        self.looks += 1
        self.asked_apt = packages
        return self.facts

    def perform(self, _: object, action: Action, *__: object) -> None:
        self.deeds.append(action.kind)
        if not self.idle:
            self.facts = after(self.facts, action)

    def forget(self, *_: object) -> None:
        self.facts = replace(self.facts, rebooted=("", ""))

    def run(self, demand: GpuDemand | None = DEMAND) -> tuple[Reconnect | None, dict[str, str]]:
        bundle = Bundle(role="inference", gpu=demand)
        nobody: Any = cast(Any, None)
        under_way = Installation(nobody, layout(bundle), (), Waiting(), self.said.append, Mask([]))
        return gpu.bring_gpus(under_way), under_way.found


def test_a_bundle_without_a_demand_costs_no_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, bare())
    assert machine.run(None) == (None, {})
    assert (machine.looks, machine.said) == (0, [])


def test_a_machine_that_is_ready_is_looked_at_once_and_what_it_has_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, done())
    wish, found = machine.run()
    assert (wish, found["driver"], found["gpus"]) == (None, DRIVER, "8 × NVIDIA A100-SXM4-80GB")
    assert (machine.looks, machine.deeds, machine.said) == (1, [], [])


def test_the_whole_plan_is_said_before_anything_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, vendor())
    machine.run()
    plan = machine.said[: next(n for n, line in enumerate(machine.said) if line.startswith("GPUs: now"))]
    assert "driver 580.105.08 (loaded)" in plan[0]
    assert "stop its unattended upgrades" in plan[1]
    assert f"hold {len(vendor().packages)} packages" in plan[2]
    assert machine.deeds == [Deed.QUIET, Deed.HOLD]


def test_an_empty_machine_gets_there_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, bare())
    wish, found = machine.run()
    assert (wish, found["driver"]) == (None, DRIVER)
    first = [Deed.QUIET, Deed.HOLD, Deed.KEYRING, Deed.INSTALL]
    assert machine.deeds == [*first, Deed.HOLD, Deed.LOAD, Deed.SERVICES, Deed.SERVICES][: len(machine.deeds)]


def test_a_reboot_asks_for_a_new_connection_and_the_next_run_sees_that_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, done(loaded="580.95.05", smi=18, gpus=()))
    wish, _ = machine.run()
    assert isinstance(wish, Reconnect)
    assert (wish.why, wish.within_s) == (f"driver 580.95.05 is loaded and {DRIVER} is installed", gpu.REBOOT_S)
    assert machine.run()[0] is None
    assert machine.deeds.count(Deed.REBOOT) == 1
    assert machine.facts.rebooted == ("", ""), "all is well: forgotten"


def test_a_refusal_names_the_machine_what_it_has_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, vendor("535.309.01"))
    with pytest.raises(UnsuitableMachine) as refused:
        machine.run()
    for part in ("ubuntu@192.0.2.7:22", "driver 535.309.01 (loaded)", "needs branch 580", "Give the machine back"):
        assert part in str(refused.value)
    assert machine.deeds == []


def test_an_owners_machine_is_judged_and_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Played(monkeypatch, vendor())
    assert machine.run(JUDGED)[0] is None
    assert (machine.deeds, machine.asked_apt) == ([], False)


def test_a_deed_without_effect_ends_the_install_with_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = done(loaded="", smi=9, gpus=(), kernel_says=("NVRM: GPU 0000:07:00.0: RmInitAdapter failed!",))
    machine = Played(monkeypatch, stuck, idle=True)
    with pytest.raises(CommandFailed, match="done without effect: load the driver") as failed:
        machine.run()
    assert "RmInitAdapter failed" in str(failed.value)
    assert machine.deeds == [Deed.LOAD]
