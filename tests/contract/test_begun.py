"""What a run has begun and no node wants any more is ended, whatever became of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers.renting.memory.journal import Journal
from providers.transport.transport import Transport
from tests.clouds.server import Fault
from tests.clouds.veil import Way
from tests.contract.conftest import Killed, Trial
from tests.contract.state import State
from tests.contract.test_faults import assert_accounted_for

HIDDEN_S = 400.0
"""Longer than the window of any of these clouds."""


def hide(trial: Trial, machine_id: str, for_s: float = HIDDEN_S) -> None:
    """Neither a look nor the listing shows it, from now on."""
    assert trial.emulator is not None
    now = trial.emulator.clock()
    for way in (Way.GET, Way.LIST):
        trial.emulator.veil.windows[machine_id, way] = [(now, now + for_s)]


def test_one_that_was_given_up_and_is_there_after_all_is_not_billed_beside_another(emulated: Trial) -> None:
    """Audit 9: a person errs, and the next `up` takes the machine back."""
    node = State(emulated)
    node.run("up")
    node.run("read")
    [machine] = node.known
    hide(emulated, machine)
    node.run("read")
    node.run("accept")
    assert node.known == []
    assert_accounted_for(emulated, node.machines)
    node.run("up")
    assert emulated.billed() == node.known == [machine]


@pytest.mark.parametrize("how", ["given up", "killed"])
def test_one_of_an_earlier_generation_is_ended_before_its_successor_is_rented(emulated: Trial, how: str) -> None:
    """Audit 3 and 9: the names of the two differ, so nobody looked for the first one any more."""
    assert emulated.emulator is not None
    node = State(emulated)
    if how == "killed":
        emulated.emulator.inject(Fault.KILLED_BEFORE_ANSWER)
    node.run("up")
    [machine] = emulated.billed()
    if how == "given up":
        node.run("read")
        hide(emulated, machine)
        node.run("read")
        node.run("accept")
    assert node.known == []
    node.inputs["generation"] = 2
    node.inputs["candidates"] = node.inputs["candidates"][:1]  # its place is free again
    node.run("up")
    assert emulated.billed() == node.known, node.last_error
    assert machine not in node.known


def test_a_vacant_node_that_is_destroyed_ends_what_it_may_have_begun(
    emulated: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 3: the answer was lost, the cloud could not be asked, and `degrade` let the rest serve."""
    assert emulated.emulator is not None
    node = State(emulated)
    node.inputs["onNoCapacity"] = "degrade"
    emulator, made = emulated.emulator, emulated.emulator.made
    emulator.inject(Fault.CREATED_BUT_500)

    def made_before_an_outage(machine_id: str) -> None:
        made(machine_id)
        emulator.veil.list_down_until = float("inf")

    monkeypatch.setattr(emulator, "made", made_before_an_outage)
    node.run("up")
    assert str(node.id).startswith("vacant/"), node.last_error
    assert len(emulated.billed()) == 1
    emulator.veil.list_down_until = float("-inf")
    node.run("delete")
    assert (emulated.billed(), node.last_error) == ([], "")
    assert emulated.journal is not None
    assert emulated.journal.open() == []


STEPS = ("begin", "answered", "end", "settled")
"""Of the journal; beside them each request is a step."""


@pytest.mark.parametrize("late", [False, True])
def test_killed_before_or_after_any_step_of_a_first_run_nothing_is_lost(
    emulated: Trial, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 3: then the next runs rent one machine, know it, and end it."""
    assert emulated.emulator is not None
    left = [0]

    def step(work: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*given: Any, **named: Any) -> Any:
            passed()
            try:
                return work(*given, **named)
            finally:
                passed()

        return stepped

    def passed() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    monkeypatch.setattr(Transport, "_once", step(Transport._once))
    for name in STEPS:
        monkeypatch.setattr(Journal, name, step(getattr(Journal, name)))
    kills = 0
    while True:
        node = State(emulated)
        if late:
            emulated.emulator.inject(Fault.LATE_ALL)
        left[0] = kills + 1
        node.run("up")
        killed, left[0] = node.last_error == "killed", 0
        assert_accounted_for(emulated, node.machines)
        emulated.emulator.faults.clear()
        node.run("up")
        assert_accounted_for(emulated, node.machines)
        assert emulated.billed() == node.known, (kills, node.last_error)
        node.run("delete")
        assert emulated.billed() == [], (kills, node.last_error)
        if not killed:
            break
        kills += 1
    assert kills > 2 * len(STEPS)


def test_an_intent_at_a_cloud_that_is_no_more_says_where_it_stands_and_what_to_do(emulated: Trial) -> None:
    """Audit 3: a cloud that left the registry, or whose key is gone, must not stop a node for good."""
    assert emulated.journal is not None
    node = State(emulated)
    node.run("up")
    [name] = {intent.name for intent in emulated.journal.open()}
    node.run("delete")
    intent = emulated.journal.begin(name, "gone")
    node.run("up")
    assert (emulated.billed(), node.known) == ([], [])
    assert str(emulated.journal.path(intent)) in node.last_error
    emulated.journal.end(intent)
    node.run("up")
    assert emulated.billed() == node.known
    assert len(node.known) == 1
