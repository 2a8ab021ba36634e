"""What the gateway's tests share: one CA, one LiteLLM with Redis and stand-in, and a HAProxy with nodes per test."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.bundle import Bundle
from images.engines import vllm
from images.roles.gateway.bundle import PORTS, gateway_bundle
from images.roles.gateway.route import ask as ask_haproxy
from images.roles.gateway.settings import GatewaySettings
from images.roles.monitoring.bundle import PORTS as MONITORING_PORTS
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.settings import Limits, MonitoringSettings
from strict.names import MONITORING_KEY
from tests.integration.gateway.harness import (
    ALIAS,
    KEY,
    MADE,
    MANAGED,
    REPOSITORY,
    SECRETS,
    SERVED,
    Answer,
    Machine,
    Node,
    ask,
    wait_for,
)
from tests.support.ports import free_ports

FAST_NODE = ("--sim-time-scale", "0.05", "--max-num-seqs", "64")
IMPATIENT = {"canaryTimeoutMs": 2000}
"""The gateway takes a node out after three canaries of 2 s without an answer. A node that works answers one of them,
even on a busy computer; one that hangs is out soon."""


@pytest.fixture(scope="session")
def deep_folder() -> Iterator[Path]:
    """A temporary folder whose path is longer than a socket's may be (108 bytes), with a space in it."""
    top = Path(tempfile.mkdtemp(prefix="gateway-"))
    folder = top / "a checkout" / ("d" * 100)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture(scope="session")
def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossover"


@pytest.fixture(scope="session")
def litellm_environment(cache: Path) -> Path:
    """The environment of requirements/litellm.txt, built once and kept where the installer keeps it, by its script."""
    requirements = (REPOSITORY / "requirements/litellm.txt").read_bytes()
    folder = cache / "venvs" / hashlib.sha256(requirements).hexdigest()[:16]
    if not (folder / "bin/litellm").exists():
        uv = Path(sys.executable).parent / "uv"
        script = REPOSITORY / "images/vehicles/ssh/scripts/environment.sh"
        command = ["sh", str(script), str(folder), sys.executable, str(uv) if uv.exists() else ""]
        built = subprocess.run(command, input=requirements, capture_output=True, check=False)
        assert built.returncode == 0, built.stdout.decode()
    return folder


@dataclass
class Backplane:
    """What stands behind HAProxy besides nodes: LiteLLM, Redis and the stand-in of the managed API."""

    machine: Machine

    @property
    def ports(self) -> dict[str, int]:
        return {name: self.machine.ports[name] for name in ("litellm", "redis", "managed")}


def settings(**more: object) -> GatewaySettings:
    """Settings whose checks are fast enough for a test; a stand-in, and no fallback unless one is given. Canaries have
    the time that they have by default: a node that a busy computer makes wait is not out. `IMPATIENT` is for tests of
    nodes that hang."""
    values: dict[str, object] = {
        "managed": [{"name": MANAGED, "model": f"openai/{MANAGED}"}],
        "standIn": True,
        "healthIntervalMs": 200,
    }
    return GatewaySettings.model_validate({**values, **more})


def bundle(nodes: Sequence[Node], chosen: GatewaySettings) -> Bundle:
    peers = [n.peer for n in nodes]
    monitoring = monitoring_bundle(
        MonitoringSettings(scrape_interval_s=1),
        Limits(minimum_nodes=2, break_even_tokens_per_month=1e9),
        "test",
        peers,
        vllm.ENGINE.metrics,
    )
    return gateway_bundle(chosen, [SERVED, ALIAS], vllm.ENGINE, peers, MADE.ca, monitoring)


@pytest.fixture(scope="session")
def backplane(deep_folder: Path, cache: Path, litellm_environment: Path) -> Iterator[Backplane]:
    """Started once: LiteLLM takes its time. It knows the fallback, whether HAProxy leads there or not."""
    root = deep_folder / "back"
    root.mkdir()
    machine = Machine(
        root,
        bundle([], settings(fallback=MANAGED)),
        free_ports([*PORTS, *MONITORING_PORTS]),
        cache,
        {"simulator": sys.prefix, "litellm": str(litellm_environment)},
    ).put()
    try:
        for name in ("redis", "managed", "litellm"):
            machine.start(name)
        machine.wait_ready("managed", "litellm", "cache")
        yield Backplane(machine)
    finally:
        machine.stop()


@dataclass
class Gateway:
    """HAProxy with its nodes, and a client in front of it."""

    machine: Machine
    nodes: dict[str, Node]

    @property
    def port(self) -> int:
        return self.machine.ports["endpoint"]

    def ask(self, body: object, path: str = "/v1/chat/completions", key: str | None = KEY) -> Answer:
        return ask(self.port, "POST", path, body, key=key)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of HAProxy's samples of that name with those labels."""
        text = ask(self.machine.ports["haproxy-stats"], "GET", "/metrics", key=SECRETS[MONITORING_KEY]).body.decode()
        wanted = [f'{k}="{v}"' for k, v in labels.items()]
        rows = [r for r in text.splitlines() if r.startswith(name + "{") and all(w in r for w in wanted)]
        return sum(float(r.rsplit(" ", 1)[1]) for r in rows)

    def command(self, command: str) -> str:
        """The answer of HAProxy's runtime API."""
        here = os.getcwd()
        os.chdir(self.machine.root)  # the path of a socket ends at 108 bytes
        try:
            return ask_haproxy(command)
        finally:
            os.chdir(here)

    def up(self, key: str) -> bool:
        return self.metric("haproxy_server_status", proxy="vllm", server=key, state="UP") == 1

    def checked(self, key: str) -> bool:
        """In rotation because its last check passed. HAProxy starts with every node in rotation, unchecked."""
        passed = self.metric("haproxy_server_check_status", proxy="vllm", server=key, state="L7OK")
        return self.up(key) and passed == 1

    def wait_up(self, *keys: str) -> None:
        for key in keys:
            wait_for(f"node {key} in rotation", lambda k=key: self.checked(k))  # type: ignore[misc]

    def wait_down(self, *keys: str) -> None:
        for key in keys:
            wait_for(f"node {key} out of rotation", lambda k=key: not self.up(k))  # type: ignore[misc]


GatewayMaker = Callable[..., Gateway]


@pytest.fixture
def make_gateway(deep_folder: Path, cache: Path) -> Iterator[GatewayMaker]:
    """make_gateway(ports=…, nodes={"a": flags}, **settings): HAProxy and simulators, started and in rotation."""
    with gateways(deep_folder, cache) as make:
        yield make


@pytest.fixture(scope="module")
def make_module_gateway(deep_folder: Path, cache: Path) -> Iterator[GatewayMaker]:
    """make_gateway of one that all tests of a file ask."""
    with gateways(deep_folder, cache) as make:
        yield make


@contextmanager
def gateways(deep_folder: Path, cache: Path) -> Iterator[GatewayMaker]:
    made: list[Gateway] = []

    def make(
        ports: dict[str, int] | None = None,
        nodes: dict[str, Sequence[str]] | None = None,
        wait: bool = True,
        certificate_keys: dict[str, str] | None = None,
        max_model_len: int = 32_768,
        **more: object,
    ) -> Gateway:
        root = Path(tempfile.mkdtemp(dir=deep_folder))
        flags = {"a": FAST_NODE, "b": FAST_NODE} if nodes is None else nodes
        node_ports = free_ports(list(flags))
        chosen = settings(**more).sized(128, max_model_len)
        started = {k: Node(k, node_ports[k], root, f, (certificate_keys or {}).get(k)) for k, f in flags.items()}
        machine = Machine(
            root,
            bundle(list(started.values()), chosen),
            free_ports([*PORTS, *MONITORING_PORTS]) | (ports or {}),
            cache,
            {"simulator": sys.prefix, "litellm": sys.prefix},
        ).put()
        gateway = Gateway(machine, started)
        made.append(gateway)
        for node in started.values():
            node.start()
        machine.start("haproxy")
        machine.wait_ready("haproxy")
        if wait:
            gateway.wait_up(*started)
        return gateway

    try:
        yield make
    finally:
        for gateway in made:
            gateway.machine.stop()
            for node in gateway.nodes.values():
                node.kill()
