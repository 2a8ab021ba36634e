"""What the layer before a node's routes lets through, request by request."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from images.roles.inference.bundle import FORMER_KEY_VARIABLE
from images.roles.inference.node import guard
from images.roles.inference.node.canary import Message, Receive, Scope, Send
from images.roles.inference.node.guard import KEY_VARIABLE, Guard

KEY = "sk-node-0123456789"
BEARER = (b"authorization", f"Bearer {KEY}".encode())


def answers(
    path: str,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    key: str = KEY,
    kind: str = "http",
    raw: bytes | None = None,
    root: str = "",
) -> list[Message]:
    """What is sent for one request; the application behind it says 299."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": kind, "path": path, "root_path": root, "headers": list(headers)}
    if kind == "http":
        scope |= {"method": method, "raw_path": path.encode() if raw is None else raw}
    asyncio.run(Guard(app, {KEY_VARIABLE: key})(scope, receive, send))
    return sent


def status(path: str, *headers: tuple[bytes, bytes], **more: Any) -> int:
    return int(answers(path, *headers, **more)[0]["status"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses/resp_1-2",
        "/v1/models/org:name@1.0~x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_what_is_below_v1_passes_with_the_key_and_never_without(path: str, method: str) -> None:
    assert status(path, BEARER, method=method) == 299
    assert status(path, method=method) == 401


@pytest.mark.parametrize("path", ["/health", "/metrics", "/metrics/", "/metrics/gpu"])
def test_health_and_metrics_are_read_without_a_key_and_nothing_else_is_done_there(path: str) -> None:
    assert status(path) == status(path, method="HEAD") == 299
    assert status(path, BEARER, method="POST") == status(path, BEARER, method="OPTIONS") == 404


@pytest.mark.parametrize(
    "path",
    [
        # gpu-node.md 0.1: without vLLM's key, and the other prefixes that it guards
        "/invocations", "/tokenize", "/detokenize", "/generative_scoring", "/is_scaling_elastic_ep",
        "/scale_elastic_ep", "/kv_event_sources", "/load", "/version", "/docs", "/docs/oauth2-redirect", "/redoc",
        "/openapi.json", "/ping", "/v2/embed", "/inference/v1/generate", "/cohere/v2/chat", "/", "",
        # what looks like a path that passes
        "/v1", "/v1/", "/V1/models", "//v1/models", "/v1//models", "/v1/models/", "/v1/../invocations",
        "/v1/./models", "/v1/..", "/v1/x/..", "/v1/\\..\\invocations", "/v1/models\n", "/v1/models;x", "/v1/a b",
        "/v1/\u00e4", "/v1x/models", "/invocations/v1/models", "/healthz", "/health/", "/health/x", "/metricsx",
        "/metrics/..", "/metrics//x", "/metrics/\n", "/health\n",
    ],
)  # fmt: skip
def test_everything_else_is_not_there_with_the_key_or_without(path: str) -> None:
    assert status(path, BEARER) == status(path) == status(path, BEARER, method="POST") == 404


@pytest.mark.parametrize("raw", [b"/v1/%6dodels", b"/%761/models", b"/v1/models%00"])
def test_a_path_that_is_escaped_is_another_one_to_whoever_stands_before(raw: bytes) -> None:
    assert status("/v1/models", BEARER, raw=raw) == 404


def test_behind_a_root_path_a_router_would_look_for_another_path() -> None:
    assert status("/v1/invocations", BEARER, root="/v1") == 404


@pytest.mark.parametrize(
    "value",
    [KEY, f"Basic {KEY}", f"Bearer  {KEY}", f"Bearer {KEY} ", f"Bearer {KEY[:-1]}", f"Bearer {KEY}x", "Bearer "],
)
def test_another_key_or_the_key_in_another_form_is_none(value: str) -> None:
    assert status("/v1/models", (b"authorization", value.encode())) == 401


def test_the_schemes_case_is_free_and_two_keys_are_none() -> None:
    assert status("/v1/models", (b"authorization", f"bEARER {KEY}".encode())) == 299
    assert status("/v1/models", BEARER, BEARER) == 401


def test_without_a_key_in_the_environment_nothing_passes_that_needs_one() -> None:
    assert status("/v1/models", (b"authorization", b"Bearer "), key="") == 401
    assert status("/health", key="") == 299


@pytest.mark.parametrize(("path", "code"), [("/invocations", "unknown_url"), ("/v1/models", "invalid_api_key")])
def test_a_refusal_is_an_error_in_the_shape_of_openai_s(path: str, code: str) -> None:
    start, body = answers(path)
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert int(headers[b"content-length"]) == len(body["body"])
    error = json.loads(body["body"])["error"]
    assert (error["code"], error["type"], error["param"]) == (code, "invalid_request_error", None)
    assert error["message"]


def test_the_servers_life_passes_and_a_websocket_is_refused_whatever_it_brings() -> None:
    assert status("", kind="lifespan") == 299
    assert answers("/v1/realtime", BEARER, kind="websocket") == [{"type": "websocket.close"}]


FORMER = "sk-former-0123456789"


def authorizations(shown: str, former: str) -> list[bytes] | None:
    """What vLLM is shown of a request; None where it never gets it."""
    seen: list[bytes] | None = None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal seen
        seen = [value for name, value in scope["headers"] if name == b"authorization"]

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        return None

    headers = [(b"x-other", b"1"), (b"authorization", f"Bearer {shown}".encode())]
    scope = {"type": "http", "path": "/v1/models", "raw_path": b"/v1/models", "method": "GET", "headers": headers}
    asyncio.run(Guard(app, {KEY_VARIABLE: KEY, FORMER_KEY_VARIABLE: former})(scope, receive, send))
    return seen


def test_the_former_key_is_taken_while_there_is_one_and_vllm_gets_its_own() -> None:
    """Audit 8: a gateway that has not changed yet shows the former key; vLLM knows one key."""
    assert guard.FORMER_KEY_VARIABLE == FORMER_KEY_VARIABLE
    own = [f"Bearer {KEY}".encode()]
    assert authorizations(KEY, FORMER) == own
    assert authorizations(FORMER, FORMER) == own
    assert authorizations(FORMER, "") is None
    assert authorizations("", "") is None
    assert authorizations("sk-another", FORMER) is None
