"""Renting loses no machine, whatever the cloud answers and whenever the user interrupts."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import providers.renting.rent
import providers.renting.until
from images.remote.errors import Cancelled, DeadlineExceeded, RemoteError, Unreachable
from providers.base import Candidate, Machine, MachineState, NodeSpec
from providers.errors import (
    Ambiguous,
    CloudError,
    Gone,
    InvalidRequest,
    NoCapacity,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from providers.renting.blocklist import CAPACITY_S, Blocklist
from providers.renting.contact import NotSettled
from providers.renting.memory.duds import Duds
from providers.renting.rent import MOST_DUDS, rent
from providers.renting.until import Kept
from tests.support.clouds import Clock, FakeCloud, request


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every machine answers SSH, unless its id is put on the list."""
    silent: list[str] = []

    def answers(machine: Machine, ssh_private_key: str) -> Machine:
        if machine.id in silent:
            raise Unreachable(f"{machine.id} does not answer SSH")
        return machine

    monkeypatch.setattr(providers.renting.until, "first_contact", answers)
    monkeypatch.setattr(providers.renting.rent, "BLOCKLIST", Blocklist())
    return silent


def test_the_first_candidate_that_can_be_had_is_rented() -> None:
    cloud = FakeCloud(launch_faults=deque([NoCapacity("none free")]))
    said: list[str] = []
    machine = rent(request(), lambda _: cloud, Clock().waiting(said))
    assert machine.region == "r2"
    assert any("none free" in line for line in said)


def test_no_candidate_means_an_error_that_names_each_refusal() -> None:
    cloud = FakeCloud(launch_faults=deque([NoCapacity("none free"), NoCapacity("sold out")]))
    with pytest.raises(NoCapacity, match=r"fake/r1/gpu: none free; fake/r2/gpu: sold out"):
        rent(request(), lambda _: cloud, Clock().waiting())


@pytest.mark.parametrize("error", [InvalidRequest("no such SKU"), Unauthorized("bad key"), Unavailable("down")])
def test_only_capacity_errors_climb_the_ladder(error: CloudError) -> None:
    cloud = FakeCloud(launch_faults=deque([error]))
    with pytest.raises(type(error)):
        rent(request(), lambda _: cloud, Clock().waiting())
    assert cloud.machines == {}


def test_an_exhausted_account_is_left_for_the_next_cloud_without_a_second_try() -> None:
    full, other = FakeCloud("full", launch_faults=deque([QuotaExceeded("0 of 8 GPUs left")])), FakeCloud("other")
    ladder = [Candidate("full", "r1", "gpu"), Candidate("full", "r2", "gpu"), Candidate("other", "r1", "gpu")]
    said: list[str] = []
    machine = rent(request(candidates=ladder), {"full": full, "other": other}.__getitem__, Clock().waiting(said))
    assert machine.cloud == "other"
    assert (full.launches, len(full.launch_faults)) == (0, 0)
    assert [line for line in said if "0 of 8" in line] == [
        "no capacity: full/r1/gpu: 0 of 8 GPUs left", "no capacity: full/r2/gpu: 0 of 8 GPUs left"
    ]  # fmt: skip


def test_what_was_refused_a_moment_ago_is_not_asked_for_again_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(providers.renting.rent, "BLOCKLIST", Blocklist(clock))
    cloud = FakeCloud(launch_faults=deque([NoCapacity("none free"), NoCapacity("none free")]))
    with pytest.raises(NoCapacity):
        rent(request("a"), lambda _: cloud, clock.waiting())
    with pytest.raises(NoCapacity, match="none free"):
        rent(request("b"), lambda _: cloud, clock.waiting())
    clock.now += CAPACITY_S
    assert rent(request("b"), lambda _: cloud, clock.waiting()).region == "r1"


def test_a_machine_that_answered_and_cannot_be_settled_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(machine: Machine, ssh_private_key: str) -> Machine:
        raise NotSettled("sudo asks for a password")

    monkeypatch.setattr(providers.renting.until, "first_contact", refuses)
    cloud = FakeCloud()
    with pytest.raises(Kept, match="is kept: sudo asks for a password") as caught:
        rent(request(), lambda _: cloud, Clock().waiting())
    assert list(cloud.machines) == [caught.value.machine.id]


def test_a_second_node_of_the_fleet_goes_to_another_failure_domain() -> None:
    cloud = FakeCloud()
    first = rent(request("a"), lambda _: cloud, Clock().waiting())
    second = rent(request("b"), lambda _: cloud, Clock().waiting())
    assert (first.region, second.region) == ("r1", "r2")
    with pytest.raises(NoCapacity, match="already holds 1 node"):
        rent(request("c"), lambda _: cloud, Clock().waiting())


def test_a_machine_of_an_earlier_run_is_adopted_and_no_second_one_rented() -> None:
    cloud = FakeCloud()
    first = rent(request(), lambda _: cloud, Clock().waiting())
    again = rent(request(), lambda _: cloud, Clock().waiting())
    assert again.id == first.id
    assert cloud.launches == 1


def test_another_generation_is_another_machine() -> None:
    cloud = FakeCloud()
    rent(request(generation=1), lambda _: cloud, Clock().waiting())
    second = rent(request(generation=2, max_per_failure_domain=2), lambda _: cloud, Clock().waiting())
    assert cloud.launches == 2
    assert second.id == "fake-2"


def test_one_of_an_earlier_generation_that_is_still_there_is_told_with_its_price() -> None:
    """Audit 3: whoever rents a successor has ended it, or no state has it any more."""
    cloud, warned = FakeCloud(), list[str]()
    first = rent(request(generation=1), lambda _: cloud, Clock().waiting())
    waiting = replace(Clock().waiting(), warn=warned.append)
    rent(request(generation=2), lambda _: cloud, waiting)
    assert [first.id in line and "22.32 USD/h" in line for line in warned] == [True]


def test_two_machines_of_one_name_are_reported_and_neither_is_touched() -> None:
    cloud = FakeCloud()
    first = rent(request(), lambda _: cloud, Clock().waiting())
    cloud.machines["twin"] = first
    with pytest.raises(InvalidRequest, match="2 machines are this node's"):
        rent(request(), lambda _: cloud, Clock().waiting())
    assert len(cloud.machines) == 2


def test_a_lost_answer_is_looked_up_before_anything_is_tried_again() -> None:
    cloud = FakeCloud(launch_faults=deque([Ambiguous("connection reset")]), create_although_failed=True)
    machine = rent(request(), lambda _: cloud, Clock().waiting())
    assert machine.id == "fake-1"
    assert cloud.launches == 1


def test_a_lost_answer_without_a_machine_is_an_error() -> None:
    cloud = FakeCloud(launch_faults=deque([Ambiguous("connection reset")]))
    with pytest.raises(Unavailable, match="no machine"):
        rent(request(), lambda _: cloud, Clock().waiting())


def test_a_machine_that_is_never_reached_is_ended_and_the_deadline_named(reachable: list[str]) -> None:
    reachable.append("fake-1")
    cloud = FakeCloud()
    only = request(candidates=request().candidates[:1])
    said: list[str] = []
    told = r"not reached in 60 s.*confirmed gone.*fake/r1 is left out until .*not reached in 60 s"
    with pytest.raises(DeadlineExceeded, match=told):
        rent(only, lambda _: cloud, replace(Clock().waiting(), warn=said.append))
    assert "not reached in 60 s" in said[0]
    assert "confirmed gone. fake/r1 is left out for a day" in said[0]
    assert cloud.machines == {}


def test_public_bug_8_a_dud_is_given_back_and_the_ladder_climbed_on(reachable: list[str]) -> None:
    """Public bug 8: any failure but a refusal ended the rent, although a second rung was there."""
    reachable.append("fake-1")
    cloud = FakeCloud()
    machine = rent(request(), lambda _: cloud, Clock().waiting())
    assert (machine.id, machine.region) == ("fake-2", "r2")
    assert list(cloud.machines) == ["fake-2"]


def test_public_bug_8_no_more_than_three_machines_are_rented_in_vain(reachable: list[str]) -> None:
    """Public bug 8: each costs as much as its deadline is long."""
    reachable.extend(f"fake-{n}" for n in range(1, 9))
    cloud = FakeCloud()
    ladder = [Candidate("fake", f"r{n}", "gpu") for n in range(1, 9)]
    with pytest.raises(DeadlineExceeded, match=r"fake-3 .*confirmed gone"):
        rent(request(candidates=ladder), lambda _: cloud, Clock().waiting())
    assert cloud.launches == MOST_DUDS == 3


def test_what_is_no_machines_fault_makes_no_dud() -> None:
    cloud, duds = FakeCloud(get_faults=deque([Unauthorized("the key has expired")])), Duds()
    with pytest.raises(Unauthorized, match="confirmed gone"):
        rent(request(), lambda _: cloud, Clock().waiting(), duds)
    assert (duds.left_out(), cloud.launches) == ({}, 1)


def test_a_machine_that_cannot_be_ended_is_kept_with_its_cost_and_what_to_do(reachable: list[str]) -> None:
    reachable.append("fake-1")
    cloud = FakeCloud(terminate_fails=True)
    with pytest.raises(Kept, match=r"fake-1.*22\.32 USD/h.*pulumi destroy") as caught:
        rent(request(), lambda _: cloud, Clock().waiting())
    assert caught.value.machine.id == "fake-1"


def test_an_adopted_machine_that_does_not_answer_is_kept(reachable: list[str]) -> None:
    cloud = FakeCloud()
    rent(request(), lambda _: cloud, Clock().waiting())
    reachable.append("fake-1")
    with pytest.raises(Kept):
        rent(request(), lambda _: cloud, Clock().waiting())
    assert list(cloud.machines) == ["fake-1"]


def test_an_interruption_keeps_the_machine_and_the_next_run_adopts_it(reachable: list[str]) -> None:
    reachable.append("fake-1")
    cloud, clock, stop = FakeCloud(), Clock(), threading.Event()
    clock.on_sleep = stop.set
    with pytest.raises(Kept, match="interrupted"):
        rent(request(), lambda _: cloud, clock.waiting(cancelled=stop.is_set))
    reachable.clear()
    assert rent(request(), lambda _: cloud, Clock().waiting()).id == "fake-1"
    assert cloud.launches == 1


def test_a_cloud_that_asks_to_slow_down_or_lags_behind_loses_no_machine() -> None:
    cloud, clock = FakeCloud(), Clock()
    cloud.get_faults.extend(
        [RateLimited("slow down", retry_after_s=12), NotFound("not listed yet"), Unavailable("502")]
    )
    assert rent(request(), lambda _: cloud, clock.waiting()).id == "fake-1"
    assert clock.now >= 12
    assert list(cloud.machines) == ["fake-1"]


def test_finding_01_a_machine_that_is_not_shown_is_waited_for_by_time_and_then_kept() -> None:
    """Audit 1: five looks in five seconds counted as proof that a machine whose id had been told never was."""
    cloud, clock = FakeCloud(), Clock()
    cloud.get_faults.extend([NotFound("who?")] * 1000)
    with pytest.raises(Kept, match=r"fake-1 at fake is kept, as it may bill.*not shown it for 300 s") as caught:
        rent(request(deadline_s=1800.0), lambda _: cloud, clock.waiting())
    assert (caught.value.machine.id, list(cloud.machines)) == ("fake-1", ["fake-1"])
    assert 300 <= clock.now < 310


def test_finding_01_one_that_is_shown_late_is_met() -> None:
    """Audit 1: 90 s late, and each `up` rented one more."""
    cloud = FakeCloud()
    cloud.get_faults.extend([NotFound("who?")] * 18)
    assert rent(request(deadline_s=1800.0), lambda _: cloud, Clock().waiting()).id == "fake-1"
    assert cloud.launches == 1


def test_a_machine_that_its_cloud_lists_as_ended_is_a_dud() -> None:
    cloud, clock = FakeCloud(), Clock()
    cloud.get_faults.append(Gone("it was preempted"))
    machine = rent(request(), lambda _: cloud, clock.waiting())
    assert list(cloud.machines) == [machine.id] == ["fake-2"]
    assert clock.now < 2


def test_a_bug_of_ours_keeps_the_machine_in_the_state() -> None:
    cloud = FakeCloud(get_faults=deque([IndexError("list index out of range")]))
    with pytest.raises(Kept, match="bug in gpucloud: IndexError"):
        rent(request(), lambda _: cloud, Clock().waiting())
    assert list(cloud.machines) == ["fake-1"]


def test_nothing_more_is_rented_once_the_user_interrupted() -> None:
    stop = threading.Event()

    class Interrupted(FakeCloud):
        def launch(self, spec: NodeSpec) -> Machine:
            stop.set()
            return super().launch(spec)

    cloud = Interrupted(launch_faults=deque([NoCapacity("none free")]))
    with pytest.raises(Cancelled):
        rent(request(), lambda _: cloud, Clock().waiting(cancelled=stop.is_set))
    assert cloud.launches == 0


def test_a_stopped_machine_is_started_again() -> None:
    cloud = FakeCloud()
    machine = rent(request(), lambda _: cloud, Clock().waiting())
    cloud.machines[machine.id] = replace(machine, state=MachineState.STOPPED)
    assert rent(request(), lambda _: cloud, Clock().waiting()).state is MachineState.RUNNING


FAULTS = st.sampled_from(["none", "capacity", "quota", "lost", "lost-but-created", "silent", "interrupt"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FAULTS, max_size=6))
def test_after_any_sequence_of_faults_and_one_good_run_there_is_exactly_one_machine(
    reachable: list[str], faults: list[str]
) -> None:
    cloud = FakeCloud()
    for fault in [*faults, "none"]:
        providers.renting.rent.BLOCKLIST = Blocklist()  # each run is a process of its own
        clock, stop = Clock(), threading.Event()
        cloud.launch_faults.clear()
        cloud.create_although_failed = fault == "lost-but-created"
        reachable[:] = [f"fake-{n}" for n in range(50)] if fault in ("silent", "interrupt") else []
        if fault == "capacity":
            cloud.launch_faults.extend([NoCapacity("x"), NoCapacity("y")])
        elif fault == "quota":
            cloud.launch_faults.append(QuotaExceeded("x"))
        elif fault.startswith("lost"):
            cloud.launch_faults.append(Ambiguous("x"))
        if fault == "interrupt":
            clock.on_sleep = stop.set
        known: str | None = None
        try:
            known = rent(request(), lambda _: cloud, clock.waiting(cancelled=stop.is_set)).id
        except Kept as e:
            known = e.machine.id
        except RemoteError:
            pass
        # What the state knows of is what the cloud bills, after every single run.
        assert list(cloud.machines) == ([known] if known else [])
    assert len(cloud.machines) == 1
