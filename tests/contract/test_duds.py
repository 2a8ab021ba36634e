"""A machine that nobody reaches is rented once, and not again the next day, at every cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.base import Machine
from providers.plugin.machine import is_vacant
from providers.renting.memory.duds import LEFT_OUT_S, Duds
from providers.renting.rent import rent
from tests.clouds.server import Fault
from tests.contract.conftest import Trial
from tests.contract.state import State
from tests.contract.test_faults import request


def test_public_bug_8_the_climb_goes_on_after_a_dud_and_the_next_run_leaves_it_out(
    emulated: Trial, tmp_path: Path
) -> None:
    """Public bug 8: 30 minutes of 8×A100 for nothing, and then the same machine again. Each run is a process of its
    own, which knows what stands in the folder."""
    emulator, clock = emulated.emulator, emulated.clock
    assert emulator is not None
    assert clock is not None

    def run(key: str) -> Machine:
        return rent(request(emulated, key), lambda _: emulated.cloud, emulated.waiting(), Duds(tmp_path, now=clock))

    emulator.inject(Fault.STUCK)
    first = run("a")
    assert emulated.billed() == [first.id]
    (scope,) = Duds(tmp_path, now=clock).left_out()
    assert first.blame != scope
    emulated.cloud.terminate(first.id)
    again = run("b")
    assert again.blame != scope
    emulated.cloud.terminate(again.id)
    clock.now += LEFT_OUT_S
    assert run("c").blame == scope


@pytest.mark.parametrize(
    "fault", [Fault.STUCK, Fault.PRICE_JUMP, Fault.REFUSED_500, Fault.RATE_LIMITED_SILENT, Fault.NO_CAPACITY]
)
def test_public_bug_8_a_node_degrades_whatever_keeps_it_from_a_machine(emulated: Trial, fault: Fault) -> None:
    """Public bug 8: `degrade` covered a refusal for capacity alone, so that one dud failed the `up`."""
    emulator = emulated.emulator
    assert emulator is not None
    emulator.inject(fault, times=1000)
    node = State(emulated)
    node.inputs["onNoCapacity"] = "degrade"
    node.run("up")
    assert (node.last_error, emulated.billed()) == ("", [])
    assert is_vacant(node.outputs["machine"])
    emulator.faults.clear()
    node.duds.forget()
    node.run("up")
    assert (node.last_error, len(node.machines)) == ("", 1)


def test_what_can_never_be_rented_is_told_and_leaves_no_vacancy(emulated: Trial) -> None:
    node = State(emulated)
    node.inputs |= {"onNoCapacity": "degrade", "candidates": [{**node.inputs["candidates"][0], "sku": "nothing"}]}
    node.run("up")
    assert "nothing" in node.last_error
    assert node.id is None
