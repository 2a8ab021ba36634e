"""One contract, two servers: the simulator always, and a real vLLM where there is one (`make test-vllm`).

A real one is started once for the tests that leave it as it was; those that end a server start their own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.eventually import eventually
from tests.unit.images.simulator.process import KEY, Server
from tests.vllm.real import VARIABLES, needs_it, program

LOADING_S = 600
PATIENCE_S = 120
"""A real one with little of a processor, to its end too: 45 s were seen."""
NAMES = ("--served-model-name", "tiny", "tiny-alias", "--api-key", KEY, "--max-model-len", "2048")
LIMITS = ("--max-num-seqs", "4", "--max-num-queued-reqs", "6")
TOOLS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
SIMULATED = ("--sim-sequence-tokens-per-s", "200", "--sim-teardown-s", "10")
"""A test asks a server during its teardown. The computer may stand still for some seconds before the question: so the
teardown takes 10 s."""

Start = Callable[..., Server]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a real vLLM its tests are not part of a run: `make test-vllm` is theirs."""
    if all(program()):
        return
    real = [item for item in items if item.get_closest_marker(needs_it.name)]
    config.hook.pytest_deselected(items=real)
    items[:] = [item for item in items if item not in real]


@pytest.fixture(scope="session", params=["simulator", pytest.param("vllm", marks=needs_it)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _started(kind: str, *arguments: str) -> Server:
    if kind == "simulator":
        return Server(*NAMES, *arguments, *SIMULATED)
    vllm, model = program()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = ("--host", "127.0.0.1", "--enforce-eager")
    server = Server(
        *(*host, *NAMES, *arguments),
        environment=VARIABLES,
        program=(vllm,),
        model=model,
        port=port,
        timeout_s=PATIENCE_S,
    )
    eventually(lambda: _listens(server), "vLLM listens", LOADING_S)
    return server


def _listens(server: Server) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"it ended with {server.process.returncode}: {server.log}")
    try:
        return server.get("/health").status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def served(kind: str) -> Iterator[Server]:
    """For tests that leave it as they found it."""
    server = _started(kind, *LIMITS)
    yield server
    server.close()


@pytest.fixture(scope="session")
def calling(kind: str) -> Iterator[Server]:
    """With a tool parser."""
    server = _started(kind, *TOOLS)
    yield server
    server.close()


@pytest.fixture
def steady(kind: str) -> None:
    """Of what a real vLLM does one way on a quiet machine, and otherwise on a busy one: docs/reference/simulator.md."""
    if kind == "vllm":
        pytest.skip("how a vLLM ends that is given no time depends on how busy the machine is")


@pytest.fixture
def start(kind: str) -> Iterator[Start]:
    """One of a test's own."""
    servers: list[Server] = []

    def _start(*arguments: str) -> Server:
        servers.append(_started(kind, *arguments))
        return servers[-1]

    yield _start
    for server in servers:
        server.close()
