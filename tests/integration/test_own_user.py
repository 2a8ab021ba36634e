"""What the engine starts answers its own user alone, and ends with its engine: plugin, language host, policy pack."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.eventually import DEADLINE_S

REPOSITORY = Path(__file__).resolve().parents[2]
SERVERS = {
    "plugin": (["providers", "ENGINE"], "ResourceProvider/Create"),
    "language host": (["scripts/engine/language_host.py", "ENGINE"], "LanguageRuntime/Run"),
    "pack": (["-m", "pulumi.policy", "ENGINE", "policies"], "Analyzer/GetAnalyzerInfo"),
}
NOBODY = 65534
CALL = """
import os, sys, grpc
import grpc._channel  # which grpc would import later, when this user may not read it any more
port, method, user = sys.argv[1:]
os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(f"/pulumirpc.{method}", bytes, bytes)
try:
    call(b"", timeout=20)
    print("OK")
except grpc.RpcError as error:
    print(error.code().name, error.details())
"""


@dataclass
class Served:
    process: subprocess.Popen[str]
    port: int
    method: str
    """One that does something."""

    def called(self, method: str, user: int) -> str:
        """The status of a call, made by a process of that user, and its words."""
        command = [sys.executable, "-c", CALL, str(self.port), method, str(user)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout


@contextmanager
def engine() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of what listens as an engine does, and its process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        code = f"import socket\ns = socket.socket(fileno={number})\nheld = []\nwhile True: held.append(s.accept())"
        process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[number])
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    try:
        yield address, process
    finally:
        process.kill()
        process.wait()


def command_of(name: str, address: str) -> list[str]:
    """As an engine at that address starts it."""
    return [sys.executable, *(address if word == "ENGINE" else word for word in SERVERS[name][0])]


@contextmanager
def serving(name: str, address: str) -> Iterator[Served]:
    process = subprocess.Popen(command_of(name, address), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Served(process, int(process.stdout.readline()), SERVERS[name][1])
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a process of another user")
@pytest.mark.parametrize("name", SERVERS)
def test_finding_02_another_user_of_this_computer_is_refused(name: str) -> None:
    """Audit 2: whoever reached the plugin's port ran commands as the user who ran `up`."""
    with engine() as (address, _), serving(name, address) as served:
        refused = served.called(served.method, NOBODY)
        assert refused.startswith("PERMISSION_DENIED ")
        assert f"user {NOBODY}" in refused
        info = f"{served.method.partition('/')[0]}/GetPluginInfo"
        assert served.called(info, NOBODY).startswith("PERMISSION_DENIED ")
        assert served.called(info, os.geteuid()) == "OK\n"


@pytest.mark.parametrize("name", SERVERS)
def test_finding_16_it_ends_at_once_when_its_engine_is_killed(name: str) -> None:
    """Audit 16: under the vendor's CLI nobody else ends a plugin, which would go on renting and ending machines."""
    with engine() as (address, process), serving(name, address) as served:
        process.send_signal(signal.SIGKILL)
        served.process.wait(DEADLINE_S)


@pytest.mark.parametrize("name", SERVERS)
def test_finding_16_it_does_not_stay_where_there_never_was_an_engine(name: str) -> None:
    """Audit 16: `python providers 127.0.0.1:1` lived on. It may end before it says its port."""
    subprocess.run(command_of(name, "127.0.0.1:1"), cwd=REPOSITORY, capture_output=True, timeout=DEADLINE_S)
