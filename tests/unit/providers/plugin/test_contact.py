"""FirstContact: when a machine is met, what is kept of it, and what a failure leaves in the state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import providers.plugin.contact
from images.remote.errors import Cancelled, DeadlineExceeded, HostKeyChanged, Unreachable
from images.remote.waiting import Waiting
from providers.base import Machine
from providers.errors import (
    InvalidRequest,
    Unauthorized,
)
from providers.plugin.contact import FirstContactHandler
from providers.plugin.handler import InitFailed
from providers.plugin.provider import Gpucloud
from providers.plugin.values import UNKNOWN, Plain, detailed_diff
from providers.renting.contact import NotSettled, WayIn
from tests.support.clouds import FakeCloud

REPORTED: Plain = {
    "id": "aws/i-1", "address": "ec2-1.example", "ports": {"ssh": 22}, "listen": {"ssh": 22}, "bind": "0.0.0.0",
    "sshUser": "ubuntu", "hostKey": "", "root": "/opt/crossover", "cache": "/c", "supervision": "",
    "tunnel": "ssm:us-east-1/i-1",
}  # fmt: skip
NEWS: Plain = {"reported": REPORTED, "name": "p-s-a-g1-0123abcd", "sshPrivateKey": "KEY", "deadlineS": 60}
MET: Plain = {**NEWS, "machine": {**REPORTED, "hostKey": "ssh-ed25519 DURABLE", "supervision": "systemd"}}
ELSEWHERE: Plain = {**NEWS, "reported": {**REPORTED, "address": "ec2-2.example"}}


class Contacts:
    """Stands for `first_contact`: raises what `answers` holds before it succeeds."""

    def __init__(self) -> None:
        self.answers: list[Exception] = []
        self.met: list[tuple[Machine, str]] = []
        self.ways: list[WayIn] = []

    def __call__(self, machine: Machine, ssh_private_key: str, way: WayIn) -> Machine:
        self.met.append((machine, ssh_private_key))
        self.ways.append(way)
        if self.answers:
            raise self.answers.pop(0)
        key = machine.host_key or "ssh-ed25519 DURABLE"
        return replace(machine, host_key=key, supervision=machine.supervision or "systemd")


class Tunnels(FakeCloud):
    """Its machines are reached by the program `reach`."""

    def tunnel(self, way: str, port: int) -> tuple[str, ...]:
        return ("reach", way, str(port))

    def refused(self, said: str) -> bool:
        return "AccessDenied" in said


def aws(name: str) -> Tunnels:
    assert name == "aws"
    return Tunnels(name)


def nobody(name: str) -> FakeCloud:
    raise AssertionError(f"{name} need not be asked")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def waiting(self, **changes: Any) -> Waiting:
        return Waiting(clock=lambda: self.now, sleep=self.sleep, **changes)


@pytest.fixture
def contacts(monkeypatch: pytest.MonkeyPatch) -> Contacts:
    made = Contacts()
    monkeypatch.setattr(providers.plugin.contact, "first_contact", made)
    return made


def test_a_new_machine_is_met_until_it_answers(contacts: Contacts) -> None:
    """By the name that its keys are made from, through its tunnel; what is waited for is said once."""
    said: list[str] = []
    contacts.answers = [Unreachable("booting"), Unreachable("booting"), NotSettled("no user yet")]
    resource_id, outputs = FirstContactHandler(aws).create("urn", NEWS, Clock().waiting(say=said.append))
    assert (resource_id, outputs) == ("contact/aws/i-1", MET)
    machine, key = contacts.met[-1]
    assert (machine.name, machine.tunnel, machine.host_key, key) == (NEWS["name"], REPORTED["tunnel"], "", "KEY")
    assert said == [
        "waiting for aws/i-1: booting", "waiting for aws/i-1: no user yet", "in contact with aws/i-1 at ec2-1.example"
    ]  # fmt: skip


def test_a_machine_without_an_open_port_is_met_through_its_clouds_program(contacts: Contacts) -> None:
    """Whose wait hears of an interruption; one whose address answers is met directly, and its cloud is not asked."""
    waiting = Clock().waiting()
    FirstContactHandler(aws).create("urn", NEWS, waiting)
    assert contacts.ways == [WayIn(("reach", REPORTED["tunnel"], "22"), waiting.cancelled)]
    reported = {key: value for key, value in REPORTED.items() if key != "tunnel"}
    FirstContactHandler(nobody).create("urn", {**NEWS, "reported": reported}, waiting)
    assert contacts.ways[1] == WayIn((), waiting.cancelled)


def test_what_the_clouds_program_is_refused_is_not_waited_for(contacts: Contacts) -> None:
    contacts.answers = [Unreachable("reach: AccessDenied")]
    with pytest.raises(Unauthorized, match="reach: AccessDenied"):
        FirstContactHandler(aws).create("urn", NEWS, Clock().waiting())
    assert len(contacts.met) == 1


def test_a_way_that_its_cloud_does_not_know_is_refused(contacts: Contacts) -> None:
    with pytest.raises(InvalidRequest, match="is no way to a machine at aws"):
        FirstContactHandler(lambda name: FakeCloud(name)).create("urn", NEWS, Clock().waiting())
    assert contacts.met == []


def test_a_machine_that_never_answers_is_given_up_with_what_it_said_last(contacts: Contacts) -> None:
    """Nothing is in the state, so that the next `up` tries again."""
    contacts.answers = [Unreachable("TargetNotConnected")] * 100
    with pytest.raises(DeadlineExceeded, match=r"aws/i-1 was not reached in 60 s: TargetNotConnected\. It is kept"):
        FirstContactHandler(aws).create("urn", NEWS, Clock().waiting())
    assert len(contacts.met) == 61


@pytest.mark.parametrize("final", [HostKeyChanged("another"), Unauthorized("denied"), InvalidRequest("no aws")])
def test_what_waiting_does_not_cure_ends_it_at_once(contacts: Contacts, final: Exception) -> None:
    contacts.answers = [final]
    with pytest.raises(type(final)):
        FirstContactHandler(aws).create("urn", NEWS, Clock().waiting())
    assert len(contacts.met) == 1


def test_an_interruption_is_heard(contacts: Contacts) -> None:
    contacts.answers = [Unreachable("booting")] * 100
    with pytest.raises(Cancelled):
        FirstContactHandler(aws).create("urn", NEWS, Clock().waiting(cancelled=lambda: len(contacts.met) > 2))
    assert len(contacts.met) == 3


def test_nothing_is_contacted_where_the_machine_is_as_it_was(contacts: Contacts) -> None:
    """Read, and updates of what is not the machine: another SSH key leaves the host key that the machine has."""
    handler = FirstContactHandler(aws)
    assert handler.read("contact/aws/i-1", MET, Clock().waiting()) == (NEWS, MET)
    rotated = {**NEWS, "sshPrivateKey": "NEW", "deadlineS": 5}
    assert handler.update("contact/aws/i-1", MET, rotated, Clock().waiting()) == {**MET, **rotated}
    handler.delete("contact/aws/i-1", MET, Clock().waiting())
    assert contacts.met == []


def test_an_address_that_changed_is_followed_and_proved_with_the_key_that_is_known(contacts: Contacts) -> None:
    after = FirstContactHandler(aws).update("contact/aws/i-1", MET, ELSEWHERE, Clock().waiting())
    assert after["machine"] == {**MET["machine"], "address": "ec2-2.example"}
    (machine, _) = contacts.met[0]
    assert (machine.address, machine.host_key, machine.supervision) == (
        "ec2-2.example", "ssh-ed25519 DURABLE", "systemd"
    )  # fmt: skip


def test_a_changed_address_that_is_not_proved_is_tried_again_by_the_next_up(contacts: Contacts) -> None:
    contacts.answers = [HostKeyChanged("another machine")]
    handler = FirstContactHandler(aws)
    with pytest.raises(InitFailed) as failed:
        handler.update("contact/aws/i-1", MET, ELSEWHERE, Clock().waiting())
    assert failed.value.reasons == ["another machine"]
    again = handler.update("contact/aws/i-1", failed.value.outputs, ELSEWHERE, Clock().waiting())
    assert again["machine"]["address"] == "ec2-2.example"
    assert len(contacts.met) == 2


def test_a_preview_knows_what_an_update_will_make_and_nothing_of_a_new_machine() -> None:
    handler = FirstContactHandler(aws)
    assert handler.preview({}, NEWS)["machine"] == UNKNOWN
    assert handler.preview(MET, {**NEWS, "reported": UNKNOWN})["machine"] == UNKNOWN
    assert handler.preview(MET, ELSEWHERE)["machine"] == {**MET["machine"], "address": "ec2-2.example"}


@pytest.mark.parametrize(
    ("reported", "replaces"),
    [
        ({**REPORTED, "id": "aws/i-2"}, True),
        (UNKNOWN, True),
        ({**REPORTED, "address": "ec2-2.example"}, False),
        ({**REPORTED, "tunnel": "ssm:us-east-1/i-2"}, False),
    ],
)
def test_another_machine_is_another_contact(reported: object, replaces: bool) -> None:
    news = {**NEWS, "reported": reported}
    diff = detailed_diff(MET, news, FirstContactHandler.inputs, FirstContactHandler.replacing)
    assert any(change.kind.name.endswith("_REPLACE") for change in diff.values()) is replaces


def test_the_private_key_is_secret_and_the_machine_is_not() -> None:
    wrapped = Gpucloud._wrapped(FirstContactHandler(aws), MET)
    assert {key: value.is_secret for key, value in wrapped.items()} == {
        "reported": False, "name": False, "sshPrivateKey": True, "deadlineS": False, "machine": False
    }  # fmt: skip
