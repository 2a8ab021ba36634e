"""The cloud `local`: what only it can get wrong."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from providers.base import MachineState, NodeSpec, Owner
from providers.clouds.local.client import LocalClient
from providers.clouds.local.cloud import LocalCloud
from providers.clouds.local.config import LocalConfig
from providers.errors import InvalidRequest, NoCapacity, Unavailable
from scripts.leftovers import end_strays
from tests.support.ports import local_bounds
from tests.support.processes import kill

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2Z1Wb2GJCbvgdM3dFVgk0UsCMfJWSMkBYGDpLbPVxX"
SPEC = NodeSpec("n", Owner("p", "s", "inference", "a", 1), "bay-1", "small", KEY, {"ssh": 22, "vllm": 8000})


@pytest.fixture
def client() -> Iterator[LocalClient]:
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    client = LocalClient(LocalConfig(folder / "s", folder / "c", "sshd", *local_bounds()))
    yield client
    for machine_id in client.ids():
        client.destroy(machine_id)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def odd() -> Iterator[LocalClient]:
    """Machines in a folder whose name nothing takes for granted."""
    folder = Path(tempfile.mkdtemp(prefix="xo-")) / "rök %d 'x'"
    client = LocalClient(LocalConfig(folder / "s", folder / "c", "sshd", *local_bounds()))
    yield client
    for machine_id in client.ids():
        client.destroy(machine_id)
    shutil.rmtree(folder.parent, ignore_errors=True)


def test_finding_17_a_machine_starts_and_ends_in_a_folder_of_any_name(odd: LocalClient) -> None:
    """Audit 17: sshd's title shows ö as \\303\\266, so that it was never seen to start, and never ended."""
    cloud = LocalCloud(odd)
    machine = cloud.launch(SPEC)
    (sshd,) = odd.processes(machine.id)
    assert Path(f"/proc/{sshd}/exe").readlink().name == "sshd"
    assert cloud.get(machine.id).state is MachineState.RUNNING
    odd.destroy(machine.id)
    assert not Path(f"/proc/{sshd}").exists() or odd.processes(machine.id) == []


def test_finding_17_an_sshd_whose_folder_is_gone_is_a_stray(odd: LocalClient) -> None:
    """Audit 17: `make down` said that nothing was left, and ten were. The title is all that is left to tell it."""
    machine = LocalCloud(odd).launch(SPEC)
    (sshd,) = odd.processes(machine.id)
    shutil.rmtree(odd.folder(machine.id))
    assert end_strays(odd.config.state, 5) == {sshd: machine.id}
    assert end_strays(odd.config.state, 5) == {}


def test_finding_17_another_process_is_not_taken_for_it(client: LocalClient) -> None:
    """Audit 17: id, start time and executable. One that has got the id of an sshd that is gone began later."""
    cloud = LocalCloud(client)
    machine = cloud.launch(SPEC)
    seen = client.folder(machine.id) / "sshd.json"
    known = json.loads(seen.read_text())
    for key, other in (("ticks", known["ticks"] + 1), ("boot", "another"), ("pid", os.getpid()), ("folder", "/else")):
        seen.write_text(json.dumps({**known, key: other}))
        assert not client.running(machine.id), key
    seen.write_text(json.dumps(known))
    assert client.running(machine.id)


def test_a_machine_that_an_older_version_started_is_known_by_its_title(client: LocalClient) -> None:
    cloud = LocalCloud(client)
    machine = cloud.launch(SPEC)
    (client.folder(machine.id) / "sshd.json").unlink()
    assert cloud.get(machine.id).state is MachineState.RUNNING


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
def test_an_account_that_nobody_may_log_in_to_is_said(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    """Audit, low: sshd then refused the key, and the message spoke of keys."""
    entry = pwd.struct_passwd(("ci", "x", 1, 1, "", "/", shell))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    with pytest.raises(InvalidRequest, match=f"the account ci has {shell} for a login shell"):
        LocalCloud(client).launch(SPEC)
    assert client.ids() == []


def test_a_user_without_an_account_is_said(client: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(InvalidRequest, match="has no account on this computer"):
        LocalCloud(client).launch(SPEC)


def power_cut(client: LocalClient, machine_id: str) -> None:
    """Ends all that runs on the machine, and waits until it has ended."""
    while pids := client.processes(machine_id):
        kill(pids)


def test_a_killed_sshd_is_a_stopped_machine_that_starts_on_its_old_port(client: LocalClient) -> None:
    cloud = LocalCloud(client)
    machine = cloud.launch(SPEC)
    power_cut(client, machine.id)
    assert cloud.get(machine.id).state is MachineState.STOPPED
    again = cloud.start(machine.id)
    assert again.state is MachineState.RUNNING
    assert (again.ports, again.host_key) == (machine.ports, machine.host_key)


def test_a_port_that_another_program_took_is_named(client: LocalClient) -> None:
    cloud = LocalCloud(client)
    machine = cloud.launch(SPEC)
    power_cut(client, machine.id)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", machine.ports["ssh"]))
        taken.listen()
        with pytest.raises(InvalidRequest, match=rf"port {machine.ports['ssh']} .*is in use by another program"):
            cloud.start(machine.id)
    assert [m.id for m in cloud.list()] == [machine.id]


def test_a_missing_sshd_is_said_and_leaves_no_machine(client: LocalClient) -> None:
    without = LocalCloud(LocalClient(replace(client.config, sshd="no-such-sshd")))
    with pytest.raises(InvalidRequest, match=r"sshd is missing.*scripts/bootstrap"):
        without.launch(SPEC)
    assert without.list() == []


def test_a_record_that_cannot_be_read_is_unavailable_and_not_gone(client: LocalClient) -> None:
    cloud = LocalCloud(client)
    machine = cloud.launch(SPEC)
    record = client.folder(machine.id) / "machine.json"
    body = record.read_text()
    record.write_text("{")
    with pytest.raises(Unavailable, match="cannot read"):
        cloud.get(machine.id)
    record.write_text(body)


@pytest.mark.parametrize("machine_id", ["", "..", "m-../../etc", "x"])
def test_what_cannot_be_an_id_touches_no_folder(client: LocalClient, machine_id: str) -> None:
    with pytest.raises(InvalidRequest, match="no id of a local machine"):
        client.destroy(machine_id)


def test_everything_started_on_a_machine_ends_with_it(client: LocalClient) -> None:
    cloud = LocalCloud(client)
    machine = cloud.launch(SPEC)
    marked = {**os.environ, "CROSSOVER_MACHINE": str(client.folder(machine.id))}
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"],
        env=marked, start_new_session=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert stubborn.stdout is not None
    assert stubborn.stdout.readline() == "deaf\n"
    client.destroy(machine.id, grace_s=2)
    assert stubborn.wait(timeout=5) == -signal.SIGKILL
    assert client.processes(machine.id) == []


def test_secrets_of_the_environment_do_not_stand_in_a_readable_file(client: LocalClient) -> None:
    machine = LocalCloud(client).launch(SPEC)
    folder = client.folder(machine.id)
    assert (folder / "sshd_config").stat().st_mode & 0o077 == 0
    assert json.loads((folder / "machine.json").read_text())["name"] == "n"


def test_two_checkouts_can_have_ports_of_their_own(client: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSOVER_LOCAL_PORTS", "15000-15999")
    config = LocalConfig.from_environment()
    assert (config.first_port, config.last_port) == (15000, 15999)
    narrow = replace(client.config, first_port=15000, last_port=15999)
    assert all(15000 <= port <= 15999 for port in LocalCloud(LocalClient(narrow)).launch(SPEC).ports.values())


@pytest.mark.parametrize("given", ["15000", "15999-15000", "80-90", "15000-70000", "a-b", "15000-15999 "])
def test_what_is_no_range_of_ports_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("CROSSOVER_LOCAL_PORTS", given)
    with pytest.raises(InvalidRequest, match="CROSSOVER_LOCAL_PORTS"):
        LocalConfig.from_environment()


def test_a_range_without_a_free_port_is_told(client: LocalClient) -> None:
    none = replace(client.config, first_port=15000, last_port=14999)
    with pytest.raises(NoCapacity, match="CROSSOVER_LOCAL_PORTS"):
        LocalCloud(LocalClient(none)).launch(SPEC)
