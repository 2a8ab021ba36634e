"""After any sequence of faults what a cloud bills is in the state or in the journal, and nothing is lost or rented
twice."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.renting.naming import machine_name
from tests.clouds.server import Emulator, Fault
from tests.contract.conftest import Trial
from tests.contract.state import State
from tests.contract.test_faults import assert_accounted_for

STEPS = st.one_of(
    st.sampled_from([fault for fault in Fault if fault is not Fault.EXPIRED_KEY]),
    st.sampled_from(["interrupt", "read", "update", "delete", "key", "accept", "same name", "generation", "degrade"]),
)
THEIRS = "0badcafe0badcafe"
"""The identity of another stack, which is called as ours is."""


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=8))
def test_after_any_sequence_of_faults_the_bill_is_what_the_state_and_the_journal_know(
    emulated: Trial, steps: list[object]
) -> None:
    """Audit 1, 3, 4 and 9, public bug 21: through the plugin's handler, with its own state, on the emulator's clock."""
    assert emulated.emulator is not None
    assert emulated.clock is not None
    anew(emulated)
    node, theirs = State(emulated), list[str]()
    for step in steps:
        stop = threading.Event()
        emulated.clock.on_sleep = stop.set if step == "interrupt" else lambda: None
        if isinstance(step, Fault):
            emulated.emulator.inject(step)
        elif step == "same name" and not theirs:  # a place has room for two
            theirs.append(rented_by_another_stack(emulated))
        elif step == "generation":
            node.inputs["generation"] += 1
        elif step == "degrade":
            node.inputs["onNoCapacity"] = "degrade"
        elif step == "key":
            emulated.emulator.inject(Fault.EXPIRED_KEY)
        node.run(str(step) if step in ("read", "delete", "accept") else "up", stop)
        assert_accounted_for(emulated, [*node.machines, *theirs])
    assert not set(theirs) & set(node.known)
    assert not any(was_to_end(emulated.emulator, machine_id) for machine_id in theirs)
    for machine_id in theirs:
        emulated.emulator.vanish(machine_id)
    emulated.emulator.faults.clear()
    emulated.clock.on_sleep = lambda: None
    node.duds.forget()
    node.inputs["onNoCapacity"] = "fail"
    for what in ("read", "up", "read", "accept", "up"):  # a person accepts what is gone, and `up` makes it good
        node.run(what, threading.Event())
    assert len(emulated.billed()) == 1, node.last_error
    assert emulated.billed() == node.machines
    node.run("delete", threading.Event())
    assert emulated.billed() == [], node.last_error


def rented_by_another_stack(trial: Trial) -> str:
    """The id of a machine that a stack of our name has rented, without a fault."""
    assert trial.emulator is not None
    faults = trial.emulator.faults.copy()
    trial.emulator.faults.clear()
    owner = replace(trial.spec().owner, stack_id=THEIRS)
    machine = trial.cloud.launch(trial.spec(machine_name(owner), owner=owner))
    trial.emulator.faults.update(faults)
    return machine.id


def was_to_end(emulator: Emulator, machine_id: str) -> bool:
    """Whether anybody has sent an end request for it."""
    ends = [r for r in emulator.seen if r.method == "DELETE" or r.path.endswith("/terminate")]
    return any(re.search(rf"\b{re.escape(machine_id)}\b", f"{r.path} {r.body}") for r in ends)


def anew(trial: Trial) -> None:
    """Nothing is left of the sequence before."""
    assert trial.emulator is not None
    assert trial.journal is not None
    trial.emulator.faults.clear()
    trial.emulator.seen.clear()
    trial.emulator.killed = False
    trial.emulator.veil.windows.clear()
    trial.emulator.veil.list_down_until = float("-inf")
    for machine_id in trial.billed():
        trial.emulator.vanish(machine_id)
    for intent in trial.journal.open():
        trial.journal.end(intent)
