"""route.py gives a node back to the gateway, also where its caller dies."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.engines.common.base import SERVICE
from images.roles.gateway import haproxy, route
from tests.support.checkout import REPOSITORY
from tests.support.eventually import DEADLINE_S, eventually

PROGRAM = REPOSITORY / "images/roles/gateway/route.py"
HEADER = "# pxname,svname,scur,status,"


class Router:
    """HAProxy's runtime API on a socket: one command a connection. `busy` is what the node has to finish, `status`
    what checks say of it."""

    def __init__(self, root: Path) -> None:
        self.commands: list[str] = []
        self.busy = 0
        self.status = "DOWN"
        self.loaded = ""
        self.asked = threading.Event()
        (root / "bin").mkdir()
        (root / "run").mkdir()
        shutil.copy(PROGRAM, root / "bin" / "route.py")
        self.program = root / "bin" / "route.py"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(root / "run" / "haproxy.sock"))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                command = connection.recv(4096).decode().strip()
                self.commands.append(command)
                row = f"vllm,a,{self.busy},{self.status},"
                answer = f"{HEADER}\n{row}\n" if command.startswith("show stat") else self.loaded
                connection.sendall(answer.encode() + b"\n")
            if command.startswith("show stat"):
                self.asked.set()

    def start(self, limit_s: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.program), "a", str(limit_s)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def router() -> Iterator[Router]:
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    yield Router(folder)
    shutil.rmtree(folder)


def test_it_drains_says_so_and_holds_until_its_caller_is_done(router: Router) -> None:
    program = router.start(5)
    assert program.stdout is not None
    assert program.stdout.readline() == "a is out of rotation, all its requests finished\n"
    assert router.commands[0] == "set server vllm/a state drain"
    assert "ready" not in router.commands[-1]
    program.communicate(timeout=DEADLINE_S)
    assert router.commands[-1] == "set server vllm/a state ready"


def test_a_haproxy_that_is_reloaded_meanwhile_is_told_anew(router: Router) -> None:
    program = router.start(5)
    assert program.stdout is not None
    program.stdout.readline()
    drained = "set server vllm/a state drain"
    eventually(lambda: router.commands.count(drained) >= 3, "told twice more")
    program.communicate(timeout=DEADLINE_S)
    assert router.commands[-1] == "set server vllm/a state ready"


def test_a_node_that_serves_again_is_waited_for_until_checks_have_seen_it(router: Router) -> None:
    """Or else the next one is held out while this one is still down, and no node is left."""
    program = told_that_it_serves(router)

    def asked() -> int:
        after = " | ".join(router.commands).partition("set server vllm/a state ready")[2]
        return after.count("show stat")

    eventually(lambda: asked() >= 2, "asked twice once it is ready")
    router.status = "UP 1/3"
    assert program.stdout is not None
    assert (program.stdout.read(), program.wait(timeout=DEADLINE_S)) == ("", 0)


def test_a_node_that_checks_do_not_see_is_told(router: Router) -> None:
    program = router.program.read_text()
    router.program.write_text(re.sub(r"(?m)^BACK_S = .*$", "BACK_S = 0.5", program))
    waiting = told_that_it_serves(router)
    assert waiting.stdout is not None
    said = waiting.stdout.read()
    assert said == "a serves again, and after 0.5 s the gateway still sends it no requests\n"
    assert waiting.wait(timeout=DEADLINE_S) == 0


def told_that_it_serves(router: Router) -> subprocess.Popen[str]:
    program = router.start(5)
    assert program.stdout is not None
    assert program.stdin is not None
    program.stdout.readline()
    program.stdin.write("serves\n")
    program.stdin.close()
    return program


def test_requests_that_do_not_end_are_told_after_the_limit(router: Router) -> None:
    router.busy = 3
    said, _ = router.start(0).communicate(timeout=DEADLINE_S)
    assert said == "a is out of rotation with 3 requests unfinished after 0 s\n"
    assert router.commands[-1] == "set server vllm/a state ready"


def test_a_caller_that_dies_during_the_drain_gives_the_node_back(router: Router) -> None:
    router.busy = 1
    program = router.start(60)
    assert router.asked.wait(DEADLINE_S)
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.close()
    program.stdout.close()
    router.busy = 0
    program.wait(timeout=DEADLINE_S)
    assert router.commands[-1] == "set server vllm/a state ready"


@pytest.mark.parametrize(
    ("loaded", "said"),
    [("# filename\n/opt/x-gateway/secrets/client.pem", "yes"), ("# filename\n/x/endpoint.pem", "no")],
)
def test_it_says_whether_haproxy_shows_nodes_a_certificate(router: Router, loaded: str, said: str) -> None:
    router.loaded = loaded
    command = [sys.executable, str(router.program), "--shows", "client.pem"]
    assert subprocess.check_output(command, text=True) == f"{said}\n"
    assert router.commands == ["show ssl cert"]


def test_it_speaks_to_the_backend_and_the_socket_of_haproxys_file() -> None:
    """It travels alone, and so spells them itself."""
    assert (route.BACKEND, route.SOCKET) == (SERVICE, haproxy.SOCKET)
