"""After any sequence of faults what a cloud bills is in the state or in the journal, and nothing is lost or rented
twice."""

from __future__ import annotations

import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clouds.server import Fault
from tests.contract.conftest import Trial
from tests.contract.state import State
from tests.contract.test_faults import assert_accounted_for

STEPS = st.one_of(
    st.sampled_from([fault for fault in Fault if fault is not Fault.EXPIRED_KEY]),
    st.sampled_from(["interrupt", "read", "update", "delete", "key", "accept"]),
)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=8))
def test_after_any_sequence_of_faults_the_bill_is_what_the_state_and_the_journal_know(
    emulated: Trial, steps: list[object]
) -> None:
    """Audit 1, 3 and 9, public bug 21: through the plugin's handler, with its own state, on the emulator's clock."""
    assert emulated.emulator is not None
    assert emulated.clock is not None
    anew(emulated)
    node = State(emulated)
    for step in steps:
        stop = threading.Event()
        emulated.clock.on_sleep = stop.set if step == "interrupt" else lambda: None
        if isinstance(step, Fault):
            emulated.emulator.inject(step)
        elif step == "key":
            emulated.emulator.inject(Fault.EXPIRED_KEY)
        node.run(str(step) if step in ("read", "delete", "accept") else "up", stop)
        assert_accounted_for(emulated, node.machines)
    emulated.emulator.faults.clear()
    emulated.clock.on_sleep = lambda: None
    node.duds.forget()
    for what in ("read", "up", "read", "accept", "up"):  # a person accepts what is gone, and `up` makes it good
        node.run(what, threading.Event())
    assert len(emulated.billed()) == 1, node.last_error
    assert emulated.billed() == node.machines
    node.run("delete", threading.Event())
    assert emulated.billed() == [], node.last_error


def anew(trial: Trial) -> None:
    """Nothing is left of the sequence before."""
    assert trial.emulator is not None
    assert trial.journal is not None
    trial.emulator.faults.clear()
    trial.emulator.killed = False
    trial.emulator.veil.windows.clear()
    trial.emulator.veil.list_down_until = float("-inf")
    for machine_id in trial.billed():
        trial.emulator.vanish(machine_id)
    for intent in trial.journal.open():
        trial.journal.end(intent)
