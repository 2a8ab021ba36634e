"""Whatever a cloud's API or the way to it does wrong, what it bills is what the state knows, after every single run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

import providers.renting.rent
import providers.renting.until
from images.remote.errors import RemoteError
from providers.base import Candidate, Owner
from providers.errors import NoCapacity, TerminateFailed, Unauthorized
from providers.renting.blocklist import Blocklist
from providers.renting.rent import Request, rent
from tests.clouds.server import Fault
from tests.contract.conftest import KEY, PRIVATE, Killed, Trial

DEADLINE_S = 600.0


def request(trial: Trial, key: str = "a") -> Request:
    ceiling = trial.spec().max_usd_per_hour
    ladder = [Candidate(trial.cloud.name, region, trial.sku, ceiling) for region in (trial.region, *trial.regions)]
    owner = Owner("p", "s", "inference", key, 1)
    ports = {"ssh": 22, "vllm": 8000, "endpoint": 8443}
    return Request(owner, ladder, KEY, PRIVATE, ports, 1, DEADLINE_S, trial.sections)


@pytest.mark.parametrize("fault", Fault)
def test_one_fault_and_one_good_run_leave_exactly_one_machine(emulated: Trial, fault: Fault) -> None:
    assert emulated.emulator is not None
    assert emulated.journal is not None
    emulated.emulator.inject(fault)
    known: list[str] = []
    said: list[str] = []
    for _ in range(2):
        providers.renting.rent.BLOCKLIST = Blocklist()  # each run is a process of its own
        try:
            known = [rent(request(emulated), lambda _: emulated.cloud, emulated.waiting(), None, emulated.journal).id]
        except providers.renting.until.Kept as e:
            known = [e.machine.id]
        except RemoteError as e:
            known, said = [], [*said, str(e)]
        except Killed:
            known = []
        assert_accounted_for(emulated, known)
    assert emulated.billed() == known
    assert len(known) == 1
    assert not emulated.emulator.faults[fault], "the emulator does not know this fault"
    assert not any("\n" in message for message in said)


def assert_accounted_for(trial: Trial, known: list[str]) -> None:
    """Audit 3: each machine that is billed is in the state or in the journal, by its id or as one create whose answer
    nobody has."""
    assert trial.journal is not None
    intents = trial.journal.open()
    strays = set(trial.billed()) - set(known) - {intent.machine_id for intent in intents}
    assert len(strays) <= sum(not intent.machine_id for intent in intents), (strays, intents)


def test_an_end_that_ends_nothing_is_told_with_the_machine_that_goes_on_billing(emulated: Trial) -> None:
    assert emulated.emulator is not None
    machine = emulated.ready()
    emulated.emulator.undying = True
    with pytest.raises(TerminateFailed, match=machine.id):
        emulated.cloud.terminate(machine.id)
    assert emulated.billed() == [machine.id]


def test_a_machine_is_ended_while_no_listing_works(emulated: Trial) -> None:
    """Audit 14-S: a look and an end by id need no listing."""
    assert emulated.emulator is not None
    machine = emulated.ready()
    emulated.emulator.veil.list_down_until = float("inf")
    emulated.cloud.terminate(machine.id)
    assert emulated.billed() == []


def test_a_second_node_of_the_fleet_lands_in_another_failure_domain(emulated: Trial) -> None:
    a, b = (rent(request(emulated, key), lambda _: emulated.cloud, emulated.waiting()) for key in ("a", "b"))
    assert a.failure_domain != b.failure_domain


def test_a_sold_out_region_lands_on_the_next_candidate(emulated: Trial) -> None:
    assert emulated.emulator is not None
    emulated.emulator.inject(Fault.NO_CAPACITY)
    said: list[str] = []
    waiting = emulated.clock.waiting(said) if emulated.clock else emulated.waiting()
    machine = rent(request(emulated), lambda _: emulated.cloud, waiting)
    assert any(line.startswith(f"no capacity: {emulated.cloud.name}/{emulated.region}/") for line in said)
    assert emulated.billed() == [machine.id]


def test_a_refused_key_is_no_capacity_error_and_rents_nothing_elsewhere(emulated: Trial) -> None:
    assert emulated.emulator is not None
    emulated.emulator.inject(Fault.EXPIRED_KEY, times=100)
    with pytest.raises(Unauthorized) as caught:
        rent(request(emulated), lambda _: emulated.cloud, emulated.waiting())
    assert emulated.emulator.key not in str(caught.value)
    assert emulated.billed() == []


def test_a_ceiling_below_every_price_is_no_capacity_and_names_the_price(emulated: Trial) -> None:
    cheap = Candidate(emulated.cloud.name, emulated.region, emulated.sku, Decimal("0.03"))
    asked = request(emulated)
    with pytest.raises(NoCapacity, match=r"\d"):
        rent(
            replace(asked, candidates=[cheap]),
            lambda _: emulated.cloud,
            emulated.waiting(),
        )
    assert emulated.billed() == []
