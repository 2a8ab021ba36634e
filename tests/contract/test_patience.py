"""A vendor that asks for patience gets some, and nobody waits for ever at its word."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from images.remote.errors import RemoteError
from providers.errors import Ambiguous
from providers.renting.presence.ending import PATIENCE_S
from providers.renting.rent import rent
from providers.renting.until import Kept
from providers.transport.patience import MOST_S
from tests.clouds.server import Emulator, Fault
from tests.contract.conftest import Trial
from tests.contract.test_faults import DEADLINE_S, request

ASKING = [fault for fault in Fault if fault.name.startswith("RETRY_AFTER_")]


def asks_after_launch(emulator: Emulator, fault: Fault, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many answers, from the first look at the first machine on."""
    boot, left = emulator.host.boot, [times]

    def then_asks_for_patience(order: Any) -> Any:
        while left:
            emulator.inject(fault, left.pop())
        return boot(order)

    monkeypatch.setattr(emulator.host, "boot", then_asks_for_patience)


@pytest.mark.parametrize("launched", [False, True], ids=["from the first question on", "once it is launched"])
@pytest.mark.parametrize("times", [1, 50])
@pytest.mark.parametrize("fault", ASKING)
def test_finding_12_no_retry_after_outlasts_the_deadlines_or_loses_a_machine(
    emulated: Trial, fault: Fault, times: int, launched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 12: 3600 took an hour of a deadline of ten minutes, 10^20 hung, ² lost a machine that billed. Who asks
    before the launch ends the rent at once; it is the waiting for a machine, and for its end, that lasted."""
    assert emulated.emulator is not None
    assert emulated.clock is not None
    machine = emulated.cloud.launch(emulated.spec(name="before"))
    emulated.cloud.terminate(machine.id)
    begun = emulated.clock.now
    if launched:
        asks_after_launch(emulated.emulator, fault, times, monkeypatch)
    else:
        emulated.emulator.inject(fault, times)
    known: list[str] = []
    try:
        known = [rent(request(emulated), lambda _: emulated.cloud, emulated.waiting()).id]
    except Kept as e:
        known = [e.machine.id]
    except RemoteError:
        pass
    assert emulated.billed() == known
    took_s = emulated.clock.now - begun
    assert took_s <= DEADLINE_S + PATIENCE_S + MOST_S  # its last request has a patience of its own


@pytest.mark.parametrize("fault", ASKING)
def test_finding_12_after_a_launch_it_loses_no_machine(
    emulated: Trial, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 12: the answer to the look that follows a launch was a ValueError, and the machine in no state."""
    assert emulated.emulator is not None
    asks_after_launch(emulated.emulator, fault, 5, monkeypatch)
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
