from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.images.simulator.process import Server


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts simulators and ends every one of them with the test."""
    servers: list[Server] = []

    def _start(*arguments: str, **options: Any) -> Server:
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield _start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for the tests of a module that leave nothing behind: as fast as the machine is."""
    server = Server(
        "--served-model-name", "llama-70b", "also-llama", "--sim-time-scale", "0", "--max-model-len", "2048"
    )
    yield server
    server.close()
