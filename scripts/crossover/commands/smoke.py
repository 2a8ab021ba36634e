"""Asks the endpoint of a running stack what a client would. Exits 1 if any answer is wrong, or is not a node's where a
node must answer."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import typer

from images.roles.gateway.endpoint import LITELLM
from images.roles.gateway.settings import RESERVED_SERVER
from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import console, emit_json, styled, table
from scripts.crossover.stack.engine import Stack, reading
from scripts.crossover.stack.state import Outputs, outputs

TIMEOUT_S = 120.0


class SmokeFailed(Exception):
    """What came back is not what a client may expect."""


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """One check."""

    name: str
    ok: bool
    detail: str
    seconds: float


def command(stack: Stack, as_json: AsJson = False) -> None:
    with reading():
        results = run(outputs(stack))
    if as_json:
        emit_json([asdict(result) for result in results])
    else:
        shown = table("check", "", "seconds", "what came back")
        for result in results:
            verdict = styled("PASS" if result.ok else "FAIL")
            shown.add_row(result.name, verdict, f"{result.seconds:.2f}", result.detail)
        console().print(shown)
    raise typer.Exit(0 if all(result.ok for result in results) else 1)


def run(outputs: Outputs) -> list[SmokeCheck]:
    """All checks, each on its own: one that fails does not hide the rest."""
    client = Client(outputs.endpoint, outputs.addresses[0], outputs.ca_certificate, outputs.key)
    checks: list[tuple[str, Callable[[], str]]] = [
        ("completion", lambda: _completion(client, outputs.model, by_node=True)),
        ("stream", lambda: _stream(client, outputs.model)),
    ]
    for model in outputs.managed_models:
        checks.append((f"managed: {model}", lambda model=model: _completion(client, model)))  # type: ignore[misc]
        checks.append((f"cache: {model}", lambda model=model: _cached(client, model)))  # type: ignore[misc]
    return [_timed(name, check) for name, check in checks]


@dataclass(frozen=True, slots=True)
class Client:
    """The least that speaks OpenAI's chat API."""

    endpoint: str
    address: str
    """"host:port" to connect to: the endpoint's name need not be in anybody's DNS yet."""
    ca_certificate: str
    key: str

    def chat(self, model: str, content: str, stream: bool = False) -> http.client.HTTPResponse:
        """Raises SmokeFailed for an answer that is not 200; OSError where nothing answers."""
        url, where = urlsplit(self.endpoint), urlsplit(f"//{self.address}")
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_S)
        if url.scheme == "https":
            connection.connect()
            trust = ssl.create_default_context(cadata=self.ca_certificate)
            connection.sock = trust.wrap_socket(connection.sock, server_hostname=url.hostname)
        body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 16, "stream": stream}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise SmokeFailed(f"HTTP {response.status}: {response.read(500).decode(errors='replace')}")
        return response


def _completion(client: Client, model: str, *, by_node: bool = False) -> str:
    response = client.chat(model, f"Say hello. {secrets.token_hex(4)}")
    answer = json.load(response)
    tokens = answer["usage"]["completion_tokens"]
    if not tokens:
        raise SmokeFailed("no token came back")
    return f"{tokens} tokens from {answer['model']}" + (f", by node {_node(response)}" if by_node else "")


def _stream(client: Client, model: str) -> str:
    pieces, ended = 0, False
    response = client.chat(model, "Count to ten.", stream=True)
    for raw in response:
        line = raw.decode().strip()
        if line == "data: [DONE]":
            ended = True
        elif line.startswith("data: "):
            choices = json.loads(line.removeprefix("data: "))["choices"]
            pieces += bool(choices and choices[0]["delta"].get("content"))
    if not ended or not pieces:
        raise SmokeFailed(f"{pieces} pieces, and {'the' if ended else 'no'} end of the stream")
    return f"{pieces} pieces and the end of the stream, by node {_node(response)}"


def _node(response: http.client.HTTPResponse) -> str:
    """The key of the node that answered. Raises SmokeFailed where the fallback did: that is paid for, and no node's."""
    by = response.headers.get("X-Served-By", "")
    if by in ("", LITELLM, RESERVED_SERVER):
        raise SmokeFailed(f"answered by {by or 'nobody that is named'}: no node took it; `crossover nodes` says why")
    return by


def _cached(client: Client, model: str) -> str:
    question = f"What is cached? {secrets.token_hex(4)}"
    first, second = (_answer(client, model, question)["id"] for _ in range(2))
    if first != second:
        raise SmokeFailed("the same request was answered anew: the second answer has another id")
    return "the repeated request came from the cache: same answer id"


def _answer(client: Client, model: str, content: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.load(client.chat(model, content))
    return answer


def _timed(name: str, check: Callable[[], str]) -> SmokeCheck:
    began = time.monotonic()
    try:
        ok, detail = True, check()
    except (SmokeFailed, OSError, http.client.HTTPException, ValueError, KeyError) as e:
        ok, detail = False, f"{type(e).__name__}: {e}" if not isinstance(e, SmokeFailed) else str(e)
    return SmokeCheck(name, ok, detail, time.monotonic() - began)
