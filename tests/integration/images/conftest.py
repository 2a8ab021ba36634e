"""A tiny real bundle, and real machines to put it on."""

from __future__ import annotations

import contextlib
import json
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Bundle, File, HttpCheck, Service
from images.remote.host import Host
from images.sources import repository_source
from images.vehicles.ssh.inspect import Health, inspect
from images.vehicles.ssh.install import InstallReport, install
from tests.support.ports import free_port
from tests.support.sshd import Machine, machine

ECHO = "tests/integration/images/echo.py"
SECRET = "sk-test-0123456789abcdef"
NOTE = """it's "quoted", costs $HOME and `date`, 100 % of it; ünïcode"""


def echo(name: str, **changes: Any) -> Service:
    """A service that listens on the port of its name and reads config/<name>.txt."""
    command = ("python3", "@ROOT@/lib/echo.py", "@BIND@", f"@PORT:{name}@", f"@ROOT@/config/{name}.txt")
    service = Service(
        name, command, environment={"NOTE": NOTE}, secret_environment={"API_KEY": "api-key"}, stop_timeout_s=5
    )
    return replace(service, **changes)


def tiny_bundle(one: str = "first", two: str = "second") -> Bundle:
    """Two services: `one` is restarted when its file changes, `two` is sent HUP."""
    return Bundle(
        role="tiny",
        files=(File("config/one.txt", one), File("config/two.txt", two)),
        sources=(repository_source("lib/echo.py", ECHO),),
        services=(echo("one"), echo("two", reload_signal="HUP", reload_files=("config/two.txt",))),
        checks=(
            HttpCheck("one", "one", "/private", bearer_secret="api-key", deadline_s=20),
            HttpCheck("two", "two", "/", deadline_s=20),
        ),
        secrets=("api-key",),
        programs=("python3",),
        directories=("data/one",),
    )


@dataclass
class Bench:
    """One machine with the ports of the tiny bundle; what was said is kept."""

    machine: Machine
    ports: dict[str, int]
    said: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=lambda: {"api-key": SECRET})

    @property
    def host(self) -> Host:
        return self.machine.host(self.ports)

    def install(self, bundle: Bundle | None = None, **changes: Any) -> InstallReport:
        options: dict[str, Any] = {"cancelled": lambda: False, "deadline_s": 240, "connect_within_s": 0, **changes}
        host = options.pop("host", self.host)
        secrets = options.pop("secrets", self.secrets)
        key = options.pop("private_key", self.machine.private_key)
        return install(host, bundle or tiny_bundle(), secrets, key, say=self.said.append, **options)

    def inspect(self, bundle: Bundle | None = None) -> Health:
        return inspect(self.host, bundle or tiny_bundle(), self.secrets, self.machine.private_key)

    def get(self, service: str) -> dict[str, Any]:
        """What the service says of itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[service]}/", timeout=5) as answer:
            value: dict[str, Any] = json.load(answer)
            return value

    def answers(self, service: str) -> bool:
        try:
            return bool(self.get(service))
        except OSError:
            return False


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments, shared by all machines of a run: supervisor's is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="cx-") as folder:
        yield Path(folder)


@pytest.fixture
def new_bench(short_path: Path, cache: Path) -> Iterator[Callable[..., Bench]]:
    """Makes machines; all are ended."""
    with contextlib.ExitStack() as stack:

        def make(name: str = "m", **changes: Any) -> Bench:
            made = stack.enter_context(machine(short_path / name, changes.pop("cache", cache), **changes))
            return Bench(made, {"one": free_port(), "two": free_port()})

        yield make


@pytest.fixture
def bench(new_bench: Callable[..., Bench]) -> Bench:
    return new_bench()
