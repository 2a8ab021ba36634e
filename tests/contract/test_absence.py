"""A machine that its vendor does not show: what a refresh, an `up` and a person make of it."""

from __future__ import annotations

from tests.clouds.server import Fault
from tests.contract.conftest import Trial
from tests.contract.state import State
from tests.contract.test_sequences import was_to_end


def test_one_that_is_hidden_for_a_while_is_found_again_by_the_same_refresh(emulated: Trial) -> None:
    """Audit 9: two looks within a second took a serving, protected node out of the state, and the next `up` rented a
    second one."""
    assert emulated.emulator is not None
    node = State(emulated)
    node.run("up")
    [machine] = emulated.billed()
    emulated.emulator.inject(Fault.FLAPPING)
    node.run("read")
    assert (node.known, node.last_error) == ([machine], "")
    node.run("up")
    assert emulated.billed() == node.known == [machine]


def test_one_that_is_missing_stays_in_the_state_until_a_person_accepts_it(emulated: Trial) -> None:
    """Audit 9: a refresh fails and says what to do; nothing is rented in its place before, and its end request is sent
    once more before another is rented."""
    assert emulated.emulator is not None
    node = State(emulated)
    node.run("up")
    node.run("read")
    [machine] = emulated.billed()
    emulated.emulator.vanish(machine)
    for what in ("read", "up", "read"):
        node.run(what)
        assert "crossover accept-gone a --stack s" in node.last_error
        assert node.known == [machine]
        assert emulated.billed() == []
    emulated.emulator.seen.clear()
    node.run("accept")
    node.run("up")
    assert was_to_end(emulated.emulator, machine)
    assert emulated.billed() == node.known
    assert len(node.known) == 1
    assert node.known != [machine]
