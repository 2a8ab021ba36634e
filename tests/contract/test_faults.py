"""Whatever a cloud's API or the way to it does wrong, what it bills is what the state knows, after every single run."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import providers.renting.rent
import providers.renting.until
from images.remote.errors import RemoteError
from providers.base import Candidate, Owner
from providers.errors import NoCapacity, TerminateFailed, Unauthorized
from providers.plugin.handler import InitFailed
from providers.plugin.node import NodeHandler
from providers.plugin.values import Plain
from providers.renting.blocklist import Blocklist
from providers.renting.memory.duds import Duds
from providers.renting.rent import Request, rent
from tests.clouds.server import Fault
from tests.contract.conftest import KEY, PRIVATE, Trial

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
    emulated.emulator.inject(fault)
    known: list[str] = []
    said: list[str] = []
    for _ in range(2):
        providers.renting.rent.BLOCKLIST = Blocklist()  # each run is a process of its own
        try:
            known = [rent(request(emulated), lambda _: emulated.cloud, emulated.waiting()).id]
        except providers.renting.until.Kept as e:
            known = [e.machine.id]
        except RemoteError as e:
            known, said = [], [*said, str(e)]
        assert emulated.billed() == known
    assert len(known) == 1
    assert not emulated.emulator.faults[fault], "the emulator does not know this fault"
    assert not any("\n" in message for message in said)


def test_an_end_that_ends_nothing_is_told_with_the_machine_that_goes_on_billing(emulated: Trial) -> None:
    assert emulated.emulator is not None
    machine = emulated.ready()
    emulated.emulator.undying = True
    with pytest.raises(TerminateFailed, match=machine.id):
        emulated.cloud.terminate(machine.id)
    assert emulated.billed() == [machine.id]


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


STEPS = st.one_of(
    st.sampled_from([fault for fault in Fault if fault is not Fault.EXPIRED_KEY]),
    st.sampled_from(["interrupt", "read", "update", "delete", "key"]),
)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=8))
def test_after_any_sequence_of_faults_the_bill_is_what_the_state_knows(emulated: Trial, steps: list[object]) -> None:
    """Through the handler of the resource plugin, with its own state, on the emulator's clock."""
    assert emulated.emulator is not None
    assert emulated.clock is not None
    emulated.emulator.faults.clear()
    node = State(emulated)
    for step in steps:
        stop = threading.Event()
        emulated.clock.on_sleep = stop.set if step == "interrupt" else lambda: None
        if isinstance(step, Fault):
            emulated.emulator.inject(step)
        elif step == "key":
            emulated.emulator.inject(Fault.EXPIRED_KEY)
        node.run("up" if step not in ("read", "delete") else str(step), stop)
        assert emulated.billed() == node.machines, (step, node.last_error)
    emulated.emulator.faults.clear()
    emulated.clock.on_sleep = lambda: None
    node.duds.forget()
    for _ in range(2):  # a refresh sees what vanished, and `up` makes it good
        node.run("read", threading.Event())
        node.run("up", threading.Event())
    assert len(emulated.billed()) == 1, node.last_error
    assert emulated.billed() == node.machines
    node.run("delete", threading.Event())
    assert emulated.billed() == []


class State:
    """One Node of a stack as the engine keeps it, driven by calls of the resource plugin's handler."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.id: str | None = None
        self.outputs: Plain = {}
        self.last_error = ""
        self.duds = Duds(now=trial.clock or time.time)
        rungs = [
            {"cloud": trial.cloud.name, "region": region, "sku": trial.sku, "maxUsdPerHour": 30}
            for region in (trial.region, *trial.regions)
        ]
        self.inputs: Plain = {
            "key": "a", "role": "inference", "project": "p", "stack": "s", "stackId": "1a2b", "generation": 1,
            "candidates": rungs,
            "ports": {"ssh": 22, "vllm": 8000, "endpoint": 8443}, "sshPublicKey": KEY, "sshPrivateKey": PRIVATE,
            "maxPerFailureDomain": 1, "deadlineS": DEADLINE_S, "onNoCapacity": "fail",
            "settings": trial.sections,
        }  # fmt: skip

    @property
    def machines(self) -> list[str]:
        """Ids that the state knows, without those that the cloud has ended by itself."""
        known = [] if self.id is None else [str(self.outputs["machine"]["id"]).partition("/")[2]]
        return [machine for machine in known if machine in self.trial.billed()]

    def run(self, what: str, stop: threading.Event | None = None) -> None:
        """One run of the plugin, a process of its own."""
        providers.renting.rent.BLOCKLIST = Blocklist()
        handler = NodeHandler(lambda _: self.trial.cloud, duds=lambda *_: self.duds)
        assert self.trial.clock is not None
        waiting = self.trial.clock.waiting(cancelled=(stop or threading.Event()).is_set)
        self.last_error = ""
        try:
            if what == "delete":
                if self.id is not None:
                    handler.delete(self.id, self.outputs, waiting)
                self.id, self.outputs = None, {}
            elif what == "read":
                if self.id is not None:
                    read = handler.read(self.id, self.outputs, waiting)
                    self.id, self.outputs = (self.id, read[1]) if read else (None, {})
            elif self.id is None:
                self.id, self.outputs = handler.create("urn", self.inputs, waiting)
            else:
                self.outputs = handler.update(self.id, self.outputs, self.inputs, waiting)
        except InitFailed as e:
            self.id, self.outputs, self.last_error = e.resource_id, e.outputs, str(e)
        except RemoteError as e:
            self.last_error = str(e)
