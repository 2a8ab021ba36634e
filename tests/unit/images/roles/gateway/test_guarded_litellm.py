"""What of a client's body LiteLLM is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from images.roles.gateway import guarded_litellm
from images.roles.gateway.guarded_litellm import ORDERS, Receive, Scope, Send, WithoutOrders

QUESTION = {"model": "gpt", "messages": [{"role": "user", "content": "hé"}], "min_p": 0.1, "stream": True}
LEFT = {"type": "http.disconnect"}


class Heard:
    """Stands in for LiteLLM: keeps what it is told, and answers 204."""

    def __init__(self) -> None:
        self.scope: Scope = {}
        self.body = b""
        self.then: object = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        message = await receive()
        self.body, more = message.get("body", b""), message.get("more_body", False)
        assert not more
        self.then = await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})


def told(
    *parts: bytes, path: str = "/v1/chat/completions", method: str = "POST", orders: frozenset[str] = ORDERS
) -> tuple[Heard, list[dict[str, Any]]]:
    """What LiteLLM hears of a body that comes in these parts, after which the client leaves, and what is answered."""
    sent = [{"type": "http.request", "body": part, "more_body": part != parts[-1]} for part in parts]
    messages: list[dict[str, Any]] = [*sent, LEFT]
    heard, answers = Heard(), list[dict[str, Any]]()
    headers = [
        (b"authorization", b"Bearer key"), (b"content-type", b"multipart/form-data; boundary=x"),
        (b"transfer-encoding", b"chunked"), (b"content-length", b"1"),
    ]  # fmt: skip
    scope = {"type": "http", "method": method, "path": path, "headers": headers}

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    asyncio.run(WithoutOrders(heard, orders)(scope, receive, send))
    return heard, answers


def test_a_question_arrives_whole_and_alone() -> None:
    """In however many parts: as JSON of its own length; and that the client left is told."""
    raw = json.dumps(QUESTION).encode()
    heard, answers = told(raw[:10], raw[10:20], raw[20:])
    assert json.loads(heard.body) == QUESTION
    assert dict(heard.scope["headers"]) == {
        b"authorization": b"Bearer key",
        b"content-type": b"application/json",
        b"content-length": b"%d" % len(heard.body),
    }
    assert heard.then == LEFT
    assert [a.get("status") for a in answers] == [204]


@pytest.mark.parametrize("order", [*sorted(ORDERS), "litellm_params", "mock_response", "_x", "aws_role_name", "own"])
def test_what_litellm_would_take_for_an_order_is_left_out(order: str) -> None:
    raw = json.dumps({order: {"messages": []}, **QUESTION}).encode()
    assert json.loads(told(raw, orders=ORDERS | {"own"})[0].body) == QUESTION


def test_of_two_equal_keys_one_is_told() -> None:
    """Whichever LiteLLM's own parser took: nobody reads another one."""
    heard, _ = told(b'{"model": "a", "user": "b", "user": "c", "hooks": ["c"], "hooks": ["d"]}')
    assert heard.body == b'{"model": "a", "user": "c"}'


TWO_MODELS = b'{"model": "managed", "model": "self-hosted"}'
"""Endpoint: model last, body beyond HAProxy's buffer: it came here by the first, and LiteLLM took the last."""


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b'"x"', b'{"model": "a"', b"\xff", b"[" * 100_000, b'{"a": ' * 100_000, b'{"n": 1' + b"0" * 5000,
     TWO_MODELS],
)  # fmt: skip
def test_what_is_no_object_or_names_two_models_is_refused(raw: bytes) -> None:
    heard, answers = told(raw)
    assert not heard.scope
    assert answers[0]["status"] == 400
    assert json.loads(answers[1]["body"])["error"]["code"] == "body_unreadable"


def test_what_is_too_long_is_refused_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_litellm, "MAX_BODY_BYTES", 8)
    assert told(b'{"a": 1}')[1][0]["status"] == 204
    heard, answers = told(b'{"a":', b"  12}", b"never asked for")
    assert not heard.scope
    assert answers[0]["status"] == 413
    assert json.loads(answers[1]["body"])["error"]["code"] == "request_too_large"


def test_a_client_that_leaves_in_the_middle_is_answered_by_nobody() -> None:
    heard = Heard()
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}, LEFT]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        pytest.fail(f"answered {message}")

    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": []}
    asyncio.run(WithoutOrders(heard, ORDERS)(scope, receive, send))
    assert not heard.scope


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/cache/delete"), ("GET", "/metrics")])
def test_what_is_no_question_passes_as_it_is(method: str, path: str) -> None:
    heard, _ = told(b"keys", path=path, method=method)
    assert heard.body == b"keys"
