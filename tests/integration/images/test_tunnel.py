"""SSH through a command: AWS' Session Manager as `access: ssm` uses it, with a real sshd at its end."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from images.remote.connection import Connection
from images.remote.errors import Cancelled, Unreachable
from images.remote.host import Host
from images.remote.tunnel import Tunnel
from images.remote.waiting import Waiting
from providers.clouds.aws import session
from tests.integration.images.conftest import Bench
from tests.support.eventually import eventually
from tests.support.session_manager import INSTANCE, REGION, SessionManager


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionManager:
    return SessionManager.installed(tmp_path / "ssm", monkeypatch)


@pytest.fixture
def tunnelled(bench: Bench, manager: SessionManager) -> Host:
    """The bench's machine as one whose address answers nobody."""
    manager.serves(port=bench.machine.ssh_port)
    way = session.command(session.tunnel(REGION, INSTANCE), 22)
    return replace(bench.host, address="203.0.113.1", ssh_port=22, tunnel=way)


def zombies() -> list[str]:
    """This process' children that nobody has asked for their status. Threads and children may end meanwhile."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += [pid for pid in (task / "children").read_text().split() if _state(pid) == "Z"]
    return found


def _state(pid: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def descriptors() -> Counter[str]:
    """What this process has open, and how often: pipes and sockets have a name each, /dev/null is always /dev/null."""
    found = Counter[str]()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one by which they are listed
            found[os.readlink(entry)] += 1
    return found


def connect(host: Host, bench: Bench) -> Connection:
    return Connection.open(host, bench.machine.private_key)


def test_a_whole_install_goes_through_a_session(bench: Bench, tunnelled: Host, manager: SessionManager) -> None:
    """Install, look, and nothing sent a second time; each session was ended in the way that tells AWS."""
    report = bench.install(host=tunnelled)
    assert report.checks == ("one", "two")
    assert bench.get("one")["text"] == "first"
    assert bench.install(host=tunnelled).transferred_bytes == 0
    assert [line for line in manager.log if not line.startswith("plugin")] == [
        f"start {INSTANCE} {REGION}", "ended"
    ] * 2  # fmt: skip
    eventually(lambda: manager.alive() == [], "both are gone")


def test_a_machine_that_is_slow_to_answer_is_waited_for(bench: Bench, tunnelled: Host, manager: SessionManager) -> None:
    """sshd's first line comes 3 s after the plugin's greeting; paramiko itself gives up after 2 s."""
    manager.behaves(slow_s=3)
    with connect(tunnelled, bench) as connection:
        assert connection.run("echo here", watch=Waiting(60), step="asking").stdout == "here\n"


def test_a_machine_that_is_not_connected_is_unreachable_in_awss_words(
    bench: Bench, tunnelled: Host, manager: SessionManager
) -> None:
    manager.serves()
    with pytest.raises(Unreachable) as refused:
        connect(tunnelled, bench)
    assert str(refused.value) == (
        "aws, through which SSH goes, ended with status 254: aws: [ERROR]: An error occurred (TargetNotConnected) when "
        f"calling the StartSession operation: {INSTANCE} is not connected."
    )
    assert "\n" not in str(refused.value)


def test_an_install_waits_until_the_machine_is_connected(
    bench: Bench, tunnelled: Host, manager: SessionManager
) -> None:
    """A machine that boots is not connected at first."""
    manager.serves()

    def boots() -> None:
        eventually(lambda: manager.log, "a first try")
        manager.serves(port=bench.machine.ssh_port)

    booting = threading.Thread(target=boots)
    booting.start()
    report = bench.install(host=tunnelled, connect_within_s=30)
    booting.join()
    assert report.checks == ("one", "two")
    assert any("TargetNotConnected" in line for line in bench.said)


def test_without_the_plugin_the_message_says_what_is_missing(
    bench: Bench, tunnelled: Host, manager: SessionManager
) -> None:
    manager.remove("session-manager-plugin")
    with pytest.raises(Unreachable, match="SessionManagerPlugin is not found"):
        connect(tunnelled, bench)


def test_without_the_program_the_message_names_it(bench: Bench, tunnelled: Host, tmp_path: Path) -> None:
    nowhere = replace(tunnelled, tunnel=(str(tmp_path / "aws"), *tunnelled.tunnel[1:]))
    with pytest.raises(Unreachable, match=r"aws, through which SSH goes, cannot be started: No such file"):
        connect(nowhere, bench)


def test_a_session_that_dies_in_the_middle_breaks_the_connection_with_its_last_words(
    bench: Bench, tunnelled: Host, manager: SessionManager
) -> None:
    """Within seconds, and nothing of it stays behind."""
    manager.behaves(dies_after=200_000)
    with connect(tunnelled, bench) as connection:
        with pytest.raises(Unreachable, match=r"broke while reading: .*the data channel was closed"):
            connection.run("cat /dev/zero", watch=Waiting(30), step="reading")
    eventually(lambda: manager.alive() == [], "both are gone")


def test_an_interruption_ends_the_wait_for_a_session_and_the_session(tunnelled: Host, manager: SessionManager) -> None:
    manager.behaves(slow_s=60)
    with pytest.raises(Cancelled):
        Tunnel.open(tunnelled.tunnel, cancelled=lambda: any(line.startswith("plugin") for line in manager.log))
    eventually(lambda: manager.alive() == [], "both are gone")


def test_a_session_that_never_reaches_the_machine_is_given_up(tunnelled: Host, manager: SessionManager) -> None:
    manager.behaves(slow_s=60)
    with pytest.raises(Unreachable, match=r"did not reach the machine within 10 s: Starting session with SessionId"):
        Tunnel.open(tunnelled.tunnel, timeout_s=10)
    eventually(lambda: manager.alive() == [], "both are gone")


def test_a_plugin_that_hears_nothing_is_killed_with_the_cli(
    bench: Bench, tunnelled: Host, manager: SessionManager
) -> None:
    manager.behaves(deaf=1)
    connection = connect(tunnelled, bench)
    connection.close()
    connection.close()
    eventually(lambda: manager.alive() == [], "both are gone")


def test_no_descriptor_and_no_zombie_is_left_by_what_fails(
    bench: Bench, tunnelled: Host, manager: SessionManager
) -> None:
    manager.serves()

    def fails() -> None:
        with pytest.raises(Unreachable):
            connect(tunnelled, bench)

    fails()
    gc.collect()  # what earlier tests left is no part of the count
    before = descriptors()
    for _ in range(3):
        fails()
    # Not by their total: what an earlier test has left may be closed meanwhile.
    assert descriptors() - before == Counter()
    assert zombies() == []


def test_a_command_that_says_much_before_it_fails_is_read_to_its_end() -> None:
    """More than a pipe holds, on both of its outputs."""
    script = "head -c 300001 /dev/zero; head -c 300000 /dev/zero >&2; printf '\\nthe reason' >&2; exit 3"
    with pytest.raises(Unreachable, match=r"^sh, through which SSH goes, ended with status 3: the reason$"):
        Tunnel.open(("sh", "-c", script), timeout_s=20)
