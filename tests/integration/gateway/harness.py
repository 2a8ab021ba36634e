"""A gateway machine and its nodes, made of the real programs, on loopback: what the tests of this folder drive."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from images.bundle import Bundle, HttpCheck, Service
from images.remote.host import Host
from images.roles.gateway.haproxy import backend_keys
from images.roles.gateway.settings import Peer
from images.roles.monitoring.access import WEB_SECRET, monitoring_key, web_configuration
from images.tokens import resolve
from strict.names import MONITORING_KEY, MONITORING_USER
from tests.support.credentials import Made
from tests.support.eventually import eventually

REPOSITORY = Path(__file__).resolve().parents[3]
SERVED, ALIAS = "llama-70b", "llama"
"""What nodes serve, and its other name."""
MANAGED = "managed-stand-in"
SECRETS = {
    "endpoint-keys": "first-client-key\nsecond-client-key\n",
    "vllm-api-key": "node-key-of-the-tests",
    "litellm-master-key": "sk-master-key-of-the-tests-0123456789abcdef",
    "redis.conf": "requirepass redis-password-of-the-tests\n",
    "redis-password": "redis-password-of-the-tests",
    "managed-api-key": "managed-key-of-the-tests",
    MONITORING_KEY: monitoring_key("sk-master-key-of-the-tests-0123456789abcdef"),
}
SECRETS["backend-keys"] = backend_keys(SECRETS["vllm-api-key"], SECRETS["litellm-master-key"])
SECRETS[WEB_SECRET] = web_configuration(SECRETS[MONITORING_KEY])
KEY = "first-client-key"
T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T | None], deadline_s: float = 60.0) -> T:
    """The first true value of `probe`, asked again and again; AssertionError with `what` after the deadline."""
    return eventually(probe, what, deadline_s)


# Certificates

NAMES = [f"{key}.nodes.crossover.internal" for key in "abcdef"]
MADE = Made.of(*NAMES)
"""Of all nodes and gateways of these tests."""
SECRETS["client.pem"] = MADE.client


# Processes


@dataclass
class Process:
    """One program in a process group of its own, its output in a file."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                command,
                env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "HOME": str(log.parent), **environment},
                cwd=log.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(name, log, popen)

    def send(self, number: int) -> None:
        self.popen.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ends the whole group, and waits for it."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, number)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait(10)

    def output(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Machine:
    """A folder that a bundle is put into as the installer would, and whose services are started one by one."""

    root: Path
    bundle: Bundle
    ports: Mapping[str, int]
    cache: Path
    interpreters: Mapping[str, str] = field(default_factory=dict)
    """@ENV:name@ → the folder used in its place."""
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def host(self) -> Host:
        return Host(
            address="127.0.0.1",
            ssh_port=1,
            ssh_user="nobody",
            host_key="ssh-ed25519 none",
            root=str(self.root),
            cache=str(self.cache),
            bind="127.0.0.1",
            ports=self.ports,
        )

    def resolved(self, text: str) -> str:
        for name, folder in self.interpreters.items():
            text = text.replace(f"@ENV:{name}@", folder)
        return resolve(text, self.host, self.bundle, where="test")

    def put(self, bundle: Bundle | None = None) -> Machine:
        """Writes files, sources and secrets."""
        self.bundle = bundle or self.bundle
        for name in self.bundle.directories:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for file in self.bundle.files:
            self._write(file.path, self.resolved(file.content), file.mode)
        for source in self.bundle.sources:
            self._write(source.path, (REPOSITORY / source.source).read_text(), source.mode)
        for secret in self.bundle.secrets:
            self._write(f"secrets/{secret}", SECRETS[secret], 0o600)
        return self

    def start(self, name: str) -> Process:
        service = self.service(name)
        environment = {k: self.resolved(v) for k, v in service.environment.items()}
        environment |= {k: SECRETS[v].strip() for k, v in service.secret_environment.items()}
        command = [self.resolved(word) for word in service.command]
        self.processes[name] = Process.start(name, command, environment, self.root / f"{name}.log")
        return self.processes[name]

    def service(self, name: str) -> Service:
        return next(s for s in self.bundle.services if s.name == name)

    def check(self, check: HttpCheck) -> bool:
        """Whether one of the bundle's own checks passes now. AssertionError where a process has ended meanwhile."""
        for process in self.processes.values():
            assert process.popen.poll() is None, process.output()
        key = None if check.bearer_secret is None else SECRETS[check.bearer_secret]
        shown = login(check.user, key or "") if check.user else None
        try:
            answer = ask(self.ports[check.port], check.method, check.path, key=None if shown else key, headers=shown)
            return answer.status == check.expect_status
        except OSError:
            return False

    def wait_ready(self, *names: str) -> None:
        for check in self.bundle.checks:
            if check.name in names:
                wait_for(f"check {check.name}", lambda c=check: self.check(c), check.deadline_s)  # type: ignore[misc]

    def stop(self) -> None:
        for process in self.processes.values():
            process.stop()

    def _write(self, path: str, text: str, mode: int) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)


@dataclass
class Node:
    """A vLLM simulator behind TLS, with the certificate of its key."""

    key: str
    port: int
    folder: Path
    flags: Sequence[str] = ()
    certificate_key: str | None = None
    process: Process | None = None

    @property
    def peer(self) -> Peer:
        return Peer(key=self.key, address="127.0.0.1", port=self.port, server_name=server_name(self.key))

    def start(self) -> Node:
        files = {name: self.folder / f"{self.key}.{name}" for name in ("key", "pem", "ca")}
        certificate, key = MADE.pair(server_name(self.certificate_key or self.key))
        for name, text in {"key": key, "pem": certificate, "ca": MADE.ca}.items():
            files[name].write_text(text)
        command = [sys.executable, "-m", "images.simulator", "serve", SERVED, "--port", str(self.port)]
        command += ["--served-model-name", SERVED, ALIAS]
        command += ["--ssl-keyfile", str(files["key"]), "--ssl-certfile", str(files["pem"])]
        command += ["--ssl-ca-certs", str(files["ca"]), "--ssl-cert-reqs", "2", "--sim-faults"]
        command += ["--middleware", "tests.integration.gateway.closed.ClosedNode", *self.flags]
        environment = {"VLLM_API_KEY": SECRETS["vllm-api-key"], "PYTHONPATH": str(REPOSITORY)}
        self.process = Process.start(self.key, command, environment, self.folder / f"node-{self.key}.log")
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.stop(signal.SIGKILL)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send(number)

    def fault(self, kind: str) -> None:
        """Asked of the node itself, past the gateway."""
        answer = self.ask("POST", "/sim/faults", {"fault": kind})
        assert answer.status == 200, answer.body

    def answers(self) -> bool:
        """Whether its /health is 200."""
        try:
            return self.ask("GET", "/health").status == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        return ask(self.port, method, path, body, key=SECRETS["vllm-api-key"], tls=True)


def login(user: str, password: str) -> dict[str, str]:
    """The header of HTTP's basic authentication."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


LOGIN = login(MONITORING_USER, SECRETS[MONITORING_KEY])


def server_name(key: str) -> str:
    return f"{key}.nodes.crossover.internal"


# Requests


@dataclass(frozen=True)
class Answer:
    """What a client saw. `whole` is False where the connection ended inside the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def served_by(self) -> str | None:
        return self.headers.get("x-served-by")


def connect(port: int, tls: bool = False, timeout_s: float = 60.0) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=MADE.context(MADE.client))


def ask(
    port: int,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str | None = KEY,
    headers: Mapping[str, str] | None = None,
    tls: bool = False,
    timeout_s: float = 60.0,
) -> Answer:
    """One request on a connection of its own. `body` is JSON, or bytes as they are. OSError where nothing answers."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {} if data is None else {"Content-Type": "application/json"}
    sent |= {} if key is None else {"Authorization": f"Bearer {key}"}
    connection = connect(port, tls, timeout_s)
    try:
        connection.connect()
        with suppress(BrokenPipeError, ConnectionResetError):  # HAProxy refuses what is too long before it has it all
            connection.request(method, path, data, {**sent, **(headers or {})})
        response = connection.getresponse()
        lowered = {k.lower(): v for k, v in response.getheaders()}
        try:
            return Answer(response.status, lowered, response.read())
        except http.client.IncompleteRead as e:
            return Answer(response.status, lowered, e.partial, whole=False)
        except OSError:
            return Answer(response.status, lowered, b"", whole=False)
    except http.client.HTTPException as e:
        raise OSError(str(e)) from e
    finally:
        connection.close()


def chat(model: str = SERVED, content: str = "hello", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}
