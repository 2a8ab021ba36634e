"""A vendor that asks for patience gets some, and nobody waits for ever at its word."""

from __future__ import annotations

import httpx
import pytest

from images.remote.errors import RemoteError
from providers.errors import Ambiguous
from providers.renting.rent import rent
from providers.renting.until import Kept
from tests.clouds.server import Fault
from tests.contract.conftest import Trial
from tests.contract.test_faults import DEADLINE_S, request

ASKING = [fault for fault in Fault if fault.name.startswith("RETRY_AFTER_")]


@pytest.mark.parametrize("times", [1, 50])
@pytest.mark.parametrize("fault", ASKING)
def test_finding_12_no_retry_after_outlasts_the_deadline_or_loses_a_machine(
    emulated: Trial, fault: Fault, times: int
) -> None:
    """Audit 12: 3600 took an hour of a deadline of ten minutes, 10^20 hung, ² lost a machine that billed."""
    assert emulated.emulator is not None
    assert emulated.clock is not None
    machine = emulated.cloud.launch(emulated.spec(name="before"))
    emulated.cloud.terminate(machine.id)
    begun = emulated.clock.now
    emulated.emulator.inject(fault, times)
    known: list[str] = []
    try:
        known = [rent(request(emulated), lambda _: emulated.cloud, emulated.waiting()).id]
    except Kept as e:
        known = [e.machine.id]
    except RemoteError:
        pass
    assert emulated.billed() == known
    assert emulated.clock.now - begun <= 2 * DEADLINE_S


@pytest.mark.parametrize("fault", ASKING)
def test_finding_12_after_a_launch_it_loses_no_machine(
    emulated: Trial, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 12: the answer to the look that follows a launch was a ValueError, and the machine in no state."""
    emulator = emulated.emulator
    assert emulator is not None
    boot = emulator.host.boot

    def then_asks_for_patience(order: object) -> object:
        emulator.inject(fault, 5)
        return boot(order)  # type: ignore[arg-type]

    monkeypatch.setattr(emulator.host, "boot", then_asks_for_patience)
    machine = rent(request(emulated), lambda _: emulated.cloud, emulated.waiting())
    assert emulated.billed() == [machine.id]


def test_finding_12_a_bug_after_a_create_was_sent_is_ambiguous(
    emulated: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 12: whatever is raised once a create is under way, the machine may be there and is looked up."""
    assert emulated.emulator is not None
    creates, real = emulated.emulator.creates, httpx.Response.json

    def broken(self: httpx.Response) -> object:
        if creates.fullmatch(self.request.url.path) and self.request.method in ("POST", "PUT"):
            raise RecursionError("maximum recursion depth exceeded")
        return real(self)

    monkeypatch.setattr(httpx.Response, "json", broken)
    with pytest.raises(Ambiguous, match="RecursionError"):
        emulated.cloud.launch(emulated.spec())
    assert len(emulated.billed()) == 1
