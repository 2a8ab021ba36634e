"""First contact with machines whose cloud does not know their host keys: really booted, really logged in to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from images.remote.errors import Cancelled, HostKeyChanged, Unreachable
from images.remote.waiting import Waiting
from providers import registry
from providers.base import Machine, MachineState
from providers.clouds.aws import session
from providers.errors import (
    InvalidRequest,
    Unauthorized,
)
from providers.plugin.contact import FirstContactHandler
from providers.plugin.values import Plain
from providers.renting import contact
from providers.renting.contact import NotSettled, first_contact, identified, shows_keys_of
from providers.renting.firstboot import ENTRY, environment, user_data
from providers.renting.hostkeys import durable, one_use
from tests.clouds.server import Boot
from tests.support.eventually import eventually
from tests.support.sandbox import Sandboxes, sandboxes
from tests.support.session_manager import INSTANCE, REGION, SessionManager
from tests.support.sshd import make_key, public_key

NAME = "p-s-a-g1-0123abcd"


@pytest.fixture
def host() -> Iterator[Sandboxes]:
    with sandboxes() as made:
        yield made


@pytest.fixture
def key(tmp_path: Path) -> str:
    """The stack's private SSH key."""
    return make_key(tmp_path / "key")


@pytest.fixture
def public(key: str, tmp_path: Path) -> str:
    return public_key(tmp_path / "key")


def machine(address: str, port: int, user: str, loses_disk: bool = False) -> Machine:
    return Machine(
        id="m", name=NAME, cloud="fake", region="r", sku="gpu", owner=None, state=MachineState.RUNNING,
        failure_domain="fake/r", usd_per_hour=Decimal(0), created_at="", address=address, ports={"ssh": port},
        ssh_user=user, loses_disk=loses_disk,
    )  # fmt: skip


def vm(host: Sandboxes, key: str, authorized: str) -> Machine:
    booted = host.boot(Boot("vm", (authorized,), user_data(one_use(key, NAME))))
    return machine(booted.address, booted.ports[22], "ubuntu")


def container(host: Sandboxes, key: str, public: str) -> Machine:
    given = environment(public, one_use(key, NAME).private)
    booted = host.boot(Boot("c", command=("sh", "-c", ENTRY), environment=given))
    return machine(booted.address, booted.ports[22], "root", loses_disk=True)


def met(found: Machine, key: str) -> Machine:
    """First contact, as soon as something answers."""
    result: list[Machine] = []

    def try_once() -> bool:
        try:
            result.append(first_contact(found, key))
        except Unreachable:
            return False
        return True

    eventually(try_once, "the machine answers")
    return result[0]


def test_a_vm_gets_its_durable_key_at_once_and_is_known_by_it(host: Sandboxes, key: str, public: str) -> None:
    settled = met(vm(host, key, public), key)
    assert settled.host_key == durable(key, NAME).public
    assert settled.supervision == "supervisor"
    # Who has lost all state knows it again: by the stack's key alone.
    assert first_contact(replace(settled, host_key="", supervision=""), key) == settled
    assert identified(replace(settled, host_key=""), ["another key", key]).host_key == settled.host_key


def test_a_machine_shows_whose_it_is_before_and_after_its_first_contact(
    host: Sandboxes, key: str, public: str, tmp_path: Path
) -> None:
    """Audit 4: its host keys are made from its stack's SSH key, so another stack's of the same name knows none."""
    booted, other = vm(host, key, public), make_key(tmp_path / "other")
    eventually(lambda: shown(booted, key), "the machine answers with its one-use key")
    assert not shows_keys_of(booted, other)
    met(booted, key)
    assert shows_keys_of(booted, key)
    assert not shows_keys_of(booted, other)


def shown(found: Machine, key: str) -> bool:
    with suppress(Unreachable):
        return shows_keys_of(found, key)
    return False


def test_the_one_use_key_is_good_for_one_contact(host: Sandboxes, key: str, public: str) -> None:
    settled = met(vm(host, key, public), key)
    with pytest.raises(HostKeyChanged):
        first_contact(replace(settled, host_key=one_use(key, NAME).public), key)


def test_a_machine_whose_sshd_reads_its_new_key_late_is_no_other_one(
    host: Sandboxes, key: str, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by a signal, and may take a connection before it. The key is not sent a second time meanwhile."""
    booted = vm(host, key, public)
    eventually(lambda: shown(booted, key), "the machine answers")
    files, words, signal = contact._REPLACE_HOST_KEY.partition("if [ -d /run/systemd/system ]")
    monkeypatch.setattr(contact, "_REPLACE_HOST_KEY", f"{files}{{ sleep 2; {words}{signal}}} >/dev/null 2>&1 &\n")
    sent, run = list[str](), contact._run

    def counted(*told: Any) -> str:
        sent.append(told[-1])
        return run(*told)

    monkeypatch.setattr(contact, "_run", counted)
    assert met(booted, key).host_key == durable(key, NAME).public
    assert len([one for one in sent if "PRIVATE KEY" in one]) == 1


def test_a_machine_that_goes_on_showing_the_key_of_its_launch_is_refused(
    host: Sandboxes, key: str, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another one, whose owner has read that key in the user data."""
    booted = vm(host, key, public)
    eventually(lambda: shown(booted, key), "the machine answers")
    monkeypatch.setattr(contact, "_REPLACE_HOST_KEY", "cat >/dev/null")
    monkeypatch.setattr(contact, "REREAD_S", 0.5)
    with pytest.raises(HostKeyChanged):
        first_contact(booted, key)


def test_a_container_that_lost_its_disk_is_met_again_and_a_vm_is_not(host: Sandboxes, key: str, public: str) -> None:
    settled = met(container(host, key, public), key)
    assert settled.host_key == durable(key, NAME).public
    host.end("c")
    again = container(host, key, public)
    reset = replace(settled, address=again.address, ports=again.ports)
    assert met(reset, key).host_key == settled.host_key
    host.end("c")
    again = container(host, key, public)
    as_vm = replace(settled, address=again.address, ports=again.ports, loses_disk=False)
    with pytest.raises(HostKeyChanged):
        met(as_vm, key)


def test_a_machine_that_lets_nobody_in_answered_and_is_not_settled(host: Sandboxes, key: str, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    with pytest.raises(NotSettled, match="does not let ubuntu log in with this stack's SSH key"):
        met(vm(host, key, public_key(tmp_path / "other")), key)


@dataclass
class Through:
    """The resource's handler as the plugin composes it, and a machine that is reached through a session alone."""

    handler: FirstContactHandler
    news: Plain
    manager: SessionManager

    def create(self) -> Plain:
        return self.handler.create("urn", self.news, Waiting())[1]


@pytest.fixture
def through(
    host: Sandboxes, key: str, public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Through]:
    booted = vm(host, key, public)
    manager = SessionManager.installed(tmp_path / "ssm", monkeypatch)
    manager.serves(str(booted.address), booted.ports["ssh"])
    reported = {
        "id": f"aws/{INSTANCE}", "address": "203.0.113.1", "ports": {"ssh": 22}, "listen": {"ssh": 22},
        "bind": "0.0.0.0", "sshUser": "ubuntu", "hostKey": "", "root": "/opt/crossover",
        "cache": "/var/cache/crossover", "supervision": "", "tunnel": session.tunnel(REGION, INSTANCE),
    }  # fmt: skip
    news = {"reported": reported, "name": NAME, "sshPrivateKey": key, "deadlineS": 60}
    yield Through(FirstContactHandler(registry.cloud), news, manager)
    eventually(lambda: manager.alive() == [], "both are gone")


def test_a_machine_without_an_open_port_is_met_through_a_session(through: Through, key: str) -> None:
    """It gets its durable key, an interrupted contact is made again, and a change of its way is proved by that key."""
    made = through.create()
    assert made["machine"] == {
        **through.news["reported"], "hostKey": durable(key, NAME).public, "supervision": "supervisor"
    }  # fmt: skip
    assert through.create() == made  # as where the engine never heard of the first
    before = len(through.manager.log)
    elsewhere = {**through.news, "reported": {**through.news["reported"], "address": "203.0.113.2"}}
    assert through.handler.update("id", made, elsewhere, Waiting())["machine"]["address"] == "203.0.113.2"
    assert len(through.manager.log) > before


def test_a_refusal_that_waiting_does_not_cure_ends_it_at_once(through: Through) -> None:
    """Not after the deadline: the machine is billed meanwhile."""
    through.manager.behaves(denied=1)
    with pytest.raises(Unauthorized, match=r"AccessDeniedException.* is not authorized to perform: ssm:StartSession"):
        through.create()
    assert len(through.manager.log) == 1


def test_without_its_programs_it_is_not_waited_for_either(
    through: Through, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidRequest, match="install what is missing"):
        through.create()


def test_an_interruption_ends_the_wait_for_a_session(through: Through) -> None:
    through.manager.behaves(slow_s=60)
    with pytest.raises(Cancelled):
        through.handler.create("urn", through.news, Waiting(cancelled=lambda: bool(through.manager.log)))
