"""A simulator in a process of its own, as it is started on a machine, and a client that speaks plain HTTP to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually

IMAGES = Path(__file__).parents[4] / "images"
TIMEOUT_S = 30.0
KEY = "not-a-secret"
BEARER = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """One process. Its log is read all the time, so that it never blocks on a full pipe."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "simulator"),
        model: str = "org/model",
        port: int = 0,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`port` is where another program than the simulator is told to listen; it may need another `timeout_s` for an
        answer, and for its end."""
        self._told, self._timeout_s = port, timeout_s
        inherited = {name: value for name, value in os.environ.items() if name != "VLLM_API_KEY"}
        self.process = subprocess.Popen(
            [*program, "serve", model, "--port", str(port), *arguments],
            env={**inherited, "PYTHONPATH": str(IMAGES), "PYTHONUNBUFFERED": "1", **(environment or {})},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.context: ssl.SSLContext | None = None

    @property
    def log(self) -> str:
        return "".join(self.lines)

    @property
    def port(self) -> int:
        """Waits for the line that says that it listens, or of a program that writes none, until it does."""
        if self._told:
            return self._told

        def listening() -> re.Match[str] | None:
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.log}")
            return re.search(r"Listening on https?://[^ ]*:(\d+)", self.log)

        return int(eventually(listening, "the simulator listens").group(1))

    def connect(self) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._timeout_s)
        return http.client.HTTPSConnection("localhost", self.port, timeout=self._timeout_s, context=self.context)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """`body` is sent as JSON, or as it is if it is bytes."""
        connection = self.connect()
        try:
            _send(connection, method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def complete(self, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return self.request("POST", "/v1/completions", {"prompt": "What is due?", **fields}, headers)

    def chat(self, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        messages = [{"role": "user", "content": "What is due?"}]
        return self.request("POST", "/v1/chat/completions", {"messages": messages, **fields}, headers)

    @contextmanager
    def stream(self, path: str = "/v1/completions", **fields: Any) -> Iterator[http.client.HTTPResponse]:
        """The response of a streamed completion, to be read with `events` or closed early."""
        connection = self.connect()
        try:
            _send(connection, "POST", path, {"prompt": "What is due?", "stream": True, **fields}, {})
            yield connection.getresponse()
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """The value of one series of /metrics, whose labels are at least `labels`."""
        exposition = self.get("/metrics").body.decode()
        values = [value for found, value in series(exposition, name) if labels.items() <= found.items()]
        assert len(values) == 1, f"{name} {labels}: {values}"
        return values[0]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        code = self.process.wait(self._timeout_s)
        self._reader.join(TIMEOUT_S)
        return code

    def close(self) -> None:
        """Ends it with the workers that it has, or had: a real vLLM's outlive it and hold its log open."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(TIMEOUT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))


def series(exposition: str, name: str) -> list[tuple[dict[str, str], float]]:
    """All series called `name` in a text exposition: labels and value."""
    found = []
    for line in exposition.splitlines():
        match = re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line)
        if match:
            found.append((dict(re.findall(r'(\w+)="([^"]*)"', match[1] or "")), float(match[2])))
    return found


def events(response: http.client.HTTPResponse) -> Iterator[str]:
    """The data of each server-sent event, as it comes, until the stream ends in whatever way."""
    try:
        while line := response.readline():
            if line.startswith(b"data: "):
                yield line[6:].decode().rstrip("\n")
    except (http.client.IncompleteRead, ConnectionError):
        return


def _send(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: Mapping[str, str]
) -> None:
    payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, payload, {"Content-Type": "application/json", **headers})
