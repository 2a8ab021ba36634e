"""Sandboxes: what the emulated vendors are asked to boot runs, apart from this computer and from one another."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import paramiko
import pytest

from images.engines import simulator
from images.engines.common.base import EngineOptions
from images.remote.connection import Connection
from images.remote.errors import AuthenticationFailed, HostKeyChanged, Unreachable
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.roles.inference.bundle import inference_bundle
from images.sources import REPOSITORY
from images.vehicles.ssh.install import install
from providers.renting import firstboot
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import durable, one_use
from tests.clouds.server import Boot, Booted
from tests.support.credentials import Made
from tests.support.eventually import eventually
from tests.support.hub import local_hub
from tests.support.sandbox import CACHE, Sandboxes, prepare_cache, processes_in, sandboxes
from tests.support.sshd import make_key, public_key

WEB = ("python3", "-m", "http.server", "8000", "--bind")
ECHO = """
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
        self.wfile.write(b"you ended")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 500
Server(("0.0.0.0", 7), Handler).serve_forever()
"""
"""Answers each line; says so when the other side has ended, which only a half-closed connection can carry."""

ASKER = """
import http.client, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        address, port = self.rfile.readline().split()
        try:
            connection = http.client.HTTPConnection(address.decode(), int(port), timeout=30)
            connection.request("GET", "/")
            self.wfile.write(str(connection.getresponse().status).encode())
        except OSError:
            self.wfile.write(b"no")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("0.0.0.0", 9), Handler).serve_forever()
"""
"""Asks the web server of another machine; answers with the status, or no."""


@pytest.fixture
def host() -> Iterator[Sandboxes]:
    with sandboxes() as made:
        yield made


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, str]:
    """A user's private and public key."""
    return make_key(tmp_path / "key"), public_key(tmp_path / "key")


def boot_container(host: Sandboxes, name: str, key: tuple[str, str], *ports: int) -> Booted:
    """As RunPod and Vast.ai are asked to."""
    environment = firstboot.environment(key[1], one_use(key[0], name).private)
    return host.boot(Boot(name, command=("sh", "-c", firstboot.ENTRY), environment=environment, ports=(22, *ports)))


def boot_vm(host: Sandboxes, name: str, key: tuple[str, str], *ports: int) -> Booted:
    """As Lambda is asked to."""
    document = user_data(one_use(key[0], name))
    return host.boot(Boot(name, authorized_keys=(key[1],), user_data=document, ports=(22, *ports)))


def log_in(booted: Booted, user: str, private_key: str, host_key: str) -> Connection:
    """Waits for sshd, also while the port of one that has ended is still open."""
    at = Host(booted.address, booted.ports[22], user, host_key, "/opt/crossover", "/var/cache/crossover", "")

    def opened() -> Connection | None:
        with contextlib.suppress(Unreachable):
            return Connection.open(at, private_key)
        return None

    return eventually(opened, "sshd does not answer")


def answers(booted: Booted, port: int) -> bool:
    """Whether a connection to the inner port is accepted; all else must be a refusal, or come while the port closes."""
    try:
        socket.create_connection((booted.address, booted.ports[port]), 30).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True


def said(connection: Connection, script: str) -> str:
    """The output of a script that must succeed."""
    result = connection.run(script, watch=Waiting(60), step="asking")
    assert result.status == 0, result
    return result.stdout.strip()


def test_a_container_runs_its_entry_and_is_logged_into_under_its_one_use_host_key(
    host: Sandboxes, key: tuple[str, str]
) -> None:
    booted = boot_container(host, "pod", key)
    assert booted.ports[22] != 22
    with log_in(booted, "root", key[0], one_use(key[0], "pod").public) as connection:
        assert said(connection, "id -u; hostname; echo $HOME") == "0\npod\n/root"
        assert (
            said(connection, "python3 -c 'import venv, ensurepip, sys; print(sys.version_info >= (3, 11))'") == "True"
        )
        assert said(connection, "tr '\\0' '\\n' </proc/$(cat /run/sshd.pid)/environ | grep -c CROSSOVER || true") == "0"
    with pytest.raises(HostKeyChanged):
        log_in(booted, "root", key[0], durable(key[0], "pod").public)


def test_a_vm_has_the_host_key_of_its_user_data_and_lets_in_ubuntu_and_root(
    host: Sandboxes, key: tuple[str, str], tmp_path: Path
) -> None:
    booted = boot_vm(host, "vm", key)
    assert booted.ports == {22: 22}
    host_key = one_use(key[0], "vm").public
    for user, home in (("ubuntu", "/home/ubuntu"), ("root", "/root")):
        with log_in(booted, user, key[0], host_key) as connection:
            assert said(connection, "id -u; echo $HOME; ls /etc/ssh/ssh_host_*") == "\n".join(
                ["0", home, "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"]
            )
    with pytest.raises(AuthenticationFailed):
        log_in(booted, "ubuntu", make_key(tmp_path / "other"), host_key)


def test_a_reboot_keeps_disk_and_address_and_nothing_that_ran(host: Sandboxes, key: tuple[str, str]) -> None:
    booted = boot_vm(host, "vm", key)
    host_key = one_use(key[0], "vm").public
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    with log_in(booted, "root", key[0], host_key) as connection:
        before = said(connection, boot_id)
        said(connection, "touch /var/kept /tmp/gone /run/gone; sleep 1000 >/dev/null 2>&1 &")
    host.reboot("vm")
    with log_in(booted, "root", key[0], host_key) as connection:
        assert said(connection, boot_id) != before
        assert said(connection, "ls /var/kept /tmp /run/gone 2>/dev/null || true") == "/var/kept\n\n/tmp:"
        assert said(connection, "pgrep -x sleep || true") == ""


def test_a_vm_takes_a_new_host_key_when_its_sshd_is_told_to_read_it(host: Sandboxes, key: tuple[str, str]) -> None:
    booted = boot_vm(host, "vm", key)
    new = durable(key[0], "vm")
    with log_in(booted, "ubuntu", key[0], one_use(key[0], "vm").public) as connection:
        said(
            connection, f"cat >/etc/ssh/ssh_host_ed25519_key <<'END'\n{new.private}END\nkill -HUP $(cat /run/sshd.pid)"
        )

    def shown() -> str:
        try:
            with paramiko.Transport((booted.address, 22)) as transport:
                transport.start_client(timeout=30)
                return f"ssh-ed25519 {transport.get_remote_server_key().get_base64()}"
        except (OSError, EOFError, paramiko.SSHException):
            return ""

    eventually(lambda: shown() == new.public, "the new host key is not shown")
    assert host.processes("vm")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("#!/bin/sh\nreboot\n", "not with #cloud-config"),
        ("#cloud-config\n- reboot\n", "no object"),
        ("#cloud-config\nruncmd: [reboot]\n", "runcmd"),
        ("#cloud-config\nssh_keys: {rsa_private: x}\n", "ed25519_private and ed25519_public"),
    ],
)
def test_user_data_that_would_not_be_carried_out_is_refused(host: Sandboxes, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        host.boot(Boot("vm", user_data=text))


def test_what_a_machine_writes_anywhere_is_seen_by_it_alone(host: Sandboxes, key: tuple[str, str]) -> None:
    folders = ("/etc", "/etc/ssh", "/usr/bin", "/root", "/home/ubuntu", "/opt", "/run", "/var/lib/dpkg",
               "/var/cache/crossover", "/tmp", "/var/tmp", "/dev/shm")  # fmt: skip
    name = f"sandbox-{os.getpid()}-was-here"
    with log_in(boot_vm(host, "one", key), "ubuntu", key[0], one_use(key[0], "one").public) as one:
        said(one, f"for folder in {' '.join(folders)}; do echo >$folder/{name} || exit 1; done; echo >>/etc/passwd")
        said(one, "! echo 1 >/proc/sys/vm/swappiness")
    with log_in(boot_vm(host, "two", key), "ubuntu", key[0], one_use(key[0], "two").public) as two:
        assert said(two, f"ls -d {' '.join(f'{folder}/{name}' for folder in folders)} 2>/dev/null || true") == ""
    assert [folder for folder in folders if (Path(folder) / name).exists()] == []


def test_two_machines_listen_on_one_port_and_reach_one_another_at_their_outer_addresses(
    host: Sandboxes, key: tuple[str, str]
) -> None:
    vms = {name: boot_vm(host, name, key, 8000) for name in ("one", "two")}
    pod = boot_container(host, "pod", key, 8000)
    inside = {name: log_in(vms[name], "ubuntu", key[0], one_use(key[0], name).public) for name in vms}
    inside["pod"] = log_in(pod, "root", key[0], one_use(key[0], "pod").public)
    machines = {**vms, "pod": pod}
    for name, connection in inside.items():
        assert not answers(machines[name], 8000)
        script = f"mkdir /tmp/w && cd /tmp/w && hostname >name && ({' '.join(WEB)} 0.0.0.0 >/dev/null 2>&1 &)"
        said(connection, script)
        eventually(partial(answers, machines[name], 8000), f"{name} does not serve")
    for connection in inside.values():
        for name, booted in machines.items():
            url = f"http://{booted.address}:{booted.ports[8000]}/name"
            assert said(connection, f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read())'") == (
                f"b'{name}\\n'"
            )
        connection.close()


def test_a_port_is_refused_outside_unless_something_listens_on_all_addresses(host: Sandboxes) -> None:
    echo = f"python3 -c '{ECHO}'"
    script = f"{' '.join(WEB)} 127.0.0.1 & {echo}; until [ -e /tmp/again ]; do sleep 0.1; done; {echo}"
    booted = host.boot(Boot("pod", command=("sh", "-c", script), ports=(7, 8000)))
    eventually(lambda: answers(booted, 7), "the other service does not listen")
    pid = next(pid for pid, argv in host.processes("pod").items() if "8000" in argv[1:])
    eventually(lambda: f":{8000:04X}" in Path(f"/proc/{pid}/net/tcp").read_text(), "it does not listen")
    with socket.create_connection((booted.address, booted.ports[7])) as held:
        held.sendall(b"x\n")
        assert held.recv(2) == b"X\n"
        os.kill(next(pid for pid, argv in host.processes("pod").items() if ECHO in argv), signal.SIGKILL)
        eventually(lambda: not answers(booted, 7), "the port stays open")
        assert not answers(booted, 8000)  # although the relay has looked since it listens inside
        assert held.recv(1) == b""
        Path(f"/proc/{pid}/root/tmp/again").touch()
        eventually(lambda: answers(booted, 7), "the port does not open again")


def test_a_port_of_this_computer_that_is_lent_is_on_the_machine_s_own_loopback(host: Sandboxes) -> None:
    """A test's server has one address everywhere, and no other port of this computer is reached."""
    with local_hub() as hub, socket.create_server(("127.0.0.1", 0)) as other:
        host.lent = (hub.port,)
        booted = host.boot(Boot("vm", command=("python3", "-c", ASKER), ports=(9,)))
        eventually(lambda: answers(booted, 9), "it does not listen")
        for port, answer in ((hub.port, b"404"), (other.getsockname()[1], b"no")):
            with socket.create_connection((booted.address, booted.ports[9])) as asking:
                asking.sendall(f"127.0.0.1 {port}\n".encode())
                assert asking.recv(8) == answer
        assert hub.asked == {"GET /": 1}
        host.end("vm")


def test_a_firewall_is_asked_at_every_connection_and_knows_machines_by_their_outer_addresses(host: Sandboxes) -> None:
    admitted: set[str] = set()
    asked: set[tuple[str, int]] = set()

    def admits(source: str, port: int) -> bool:
        asked.add((source, port))
        return source in admitted

    web = ("sh", "-c", f"exec {' '.join(WEB)} 0.0.0.0")
    shut = host.boot(Boot("shut", command=web, ports=(8000,), admits=admits))
    client = host.boot(Boot("client", command=("sh", "-c", f"exec python3 -c '{ASKER}'"), ports=(9,)))
    eventually(lambda: answers(client, 9), "the client does not listen")

    def asks() -> bool:
        with socket.create_connection((client.address, client.ports[9]), 30) as asker:
            asker.sendall(f"{shut.address} {shut.ports[8000]}\n".encode())
            return asker.recv(3) == b"200"

    def answers_here() -> bool:
        with contextlib.suppress(OSError):
            return http_status(shut.address, shut.ports[8000]) == 200
        return False

    eventually(lambda: (answers_here(), len(asked))[1] > 0, "nothing listens behind the firewall")
    assert (answers_here(), asks()) == (False, False)
    assert asked == {("127.0.0.1", 8000), (client.address, 8000)}
    admitted.add(client.address)
    eventually(asks, "the machine that is let in is not")
    assert not answers_here()
    admitted.add("127.0.0.1")
    assert answers_here()


def http_status(address: str, port: int) -> int:
    """Of GET /."""
    connection = http.client.HTTPConnection(address, port, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_connections_stream_half_close_and_run_in_parallel(host: Sandboxes) -> None:
    booted = host.boot(Boot("pod", command=("python3", "-c", ECHO), ports=(7,)))
    eventually(lambda: answers(booted, 7), "the service does not listen")

    def talk(number: int) -> None:
        with socket.create_connection((booted.address, booted.ports[7]), 30) as sock, sock.makefile("rb") as answer:
            for turn in range(3):
                sock.sendall(f"line {turn} of {number}\n".encode())
                assert answer.readline() == f"LINE {turn} OF {number}\n".encode()
            bulk = b"x" * 100_000 + b"\n"
            sock.sendall(bulk)
            assert answer.readline() == bulk.upper()
            sock.shutdown(socket.SHUT_WR)
            assert answer.read() == b"you ended"

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(talk, range(200)))


def mounted(host: Sandboxes) -> list[str]:
    """What this computer has mounted for the host's machines."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(host.folder) in line]


def test_an_ended_machine_leaves_no_process_no_mount_and_no_port(host: Sandboxes, key: tuple[str, str]) -> None:
    mounts = mounted(host)
    booted = boot_vm(host, "vm", key)
    with log_in(booted, "ubuntu", key[0], one_use(key[0], "vm").public) as connection:
        said(connection, "setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 100; done' >/dev/null 2>&1 &")
        # Process 1, two sshd, the shell and what it starts.
        pids = eventually(lambda: found if len(found := list(host.processes("vm"))) >= 5 else None, "all run")
        host.end("vm")
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert not answers(booted, 22)
    assert mounted(host) == mounts
    assert list(host.folder.iterdir()) == [host.cache]
    host.end("vm")
    assert boot_vm(host, "vm", key).address != booted.address


def test_a_container_whose_command_ended_is_down(host: Sandboxes) -> None:
    booted = host.boot(Boot("pod", command=("sh", "-c", "echo what it said; sleep 1000 & exit 3"), ports=(22,)))
    eventually(lambda: not host.processes("pod"), "its processes go on")
    assert host.log("pod") == "what it said\n"
    assert not answers(booted, 22)


def test_machines_end_with_the_process_that_booted_them(host: Sandboxes, tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from tests.support.sandbox import Boot, Sandboxes
host = Sandboxes(Path({str(tmp_path)!r}), Path({str(host.cache)!r}))
host.boot(Boot("pod", command=("sleep", "1000")))
print(os.readlink("/proc/%d/ns/pid" % max(host.processes("pod"))), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'policies'}"}
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment, check=False
    )
    namespace = done.stdout.strip()
    assert namespace.startswith("pid:["), done.stdout
    eventually(lambda: not processes_in(namespace), "the machine outlives the process that booted it")


@pytest.mark.parametrize("kind", ["vm", "container"])
def test_an_inference_bundle_is_installed_and_completes_through_the_outer_port(kind: str, key: tuple[str, str]) -> None:
    settings = EngineOptions(
        model="tiny", served_names=("tiny-served",), tensor_parallel_size=1,
        shutdown_timeout_s=1, simulation={"time-scale": "0"},
    )  # fmt: skip
    name = "a.nodes.crossover.internal"
    made = Made.of(name)
    bundle = inference_bundle(simulator.ENGINE, settings, made.ca)
    with sandboxes(prepare_cache()) as host:
        booted = (boot_vm if kind == "vm" else boot_container)(host, "node", key, 8000)
        at = Host(
            booted.address, booted.ports[22], "ubuntu" if kind == "vm" else "root",
            one_use(key[0], "node").public, "/opt/crossover", CACHE, "0.0.0.0",
            {"ssh": 22, "vllm": 8000}, supervision="supervisor", server_name=name,
        )  # fmt: skip
        report = install(
            at, bundle, made.secrets(name), key[0],
            say=print, cancelled=lambda: False, deadline_s=180,
        )  # fmt: skip
        assert report.checks == tuple(check.name for check in bundle.checks)
        context = made.context(made.client)  # asked by address; the installer's checks have asked by name
        connection = http.client.HTTPSConnection(booted.address, booted.ports[8000], context=context, timeout=20)
        order = {"model": "tiny-served", "prompt": "Hello", "max_tokens": 4}
        headers = {"Authorization": f"Bearer {made.outputs['vllmApiKey']}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/completions", json.dumps(order), headers)
        answer = json.load(connection.getresponse())
        assert answer["usage"]["completion_tokens"] == 4
