"""LiteLLM's own command, with two things before it: who does not show the master key gets no answer from any path, and
of a client's body only what a completion is made of gets in.

Left to itself LiteLLM shows its routes, models and settings to every user of the gateway's machine (`/openapi.json`,
`/routes`, `/public/…`, `/sso/…`). And it takes orders from a body (1.106): `extra_body` puts another question's answer
into the cache of all clients, `custom_llm_provider` shows the managed API's key to another vendor, and
`num_retries` pays again. Its environment's Python runs this file: it imports nothing of ours.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024 * 1024
"""It is held in memory; OpenAI takes 50 MB a request."""
ORDERS = frozenset({
    "additional_drop_params", "allowed_fails", "callbacks", "content_policy_fallbacks", "context_window_fallbacks",
    "default_fallbacks", "deployment_id", "disable_fallbacks", "extra_body", "extra_headers", "extra_query",
    "failure_callback", "hooks", "metadata", "optional_params", "policies", "specific_deployment", "success_callback",
    "vector_store_ids",
})  # fmt: skip
"""What LiteLLM heeds and does not count among its own parameters. `metadata` is OpenAI's, too, for what it stores."""
ORDER_PREFIXES = ("_", "aws_", "azure_", "litellm_", "mock_", "user_api_key", "vertex_")


class KeyRequired:
    """The application, for those who have the key."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._shown = b"Bearer " + os.environb[b"LITELLM_MASTER_KEY"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._knows(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _refuse(send, 401, "invalid_api_key", "No key, or one that is not known here.")
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _knows(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._shown)


class WithoutOrders:
    """The application, which gets of a body below /v1/ what is none of `orders`, as JSON.

    Written anew, so that nobody reads it in another way than this does: two equal keys, form data, UTF-16.
    """

    def __init__(self, app: App, orders: Collection[str]) -> None:
        self._app = app
        self._orders = frozenset(orders)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
        elif (body := await _whole(receive)) is None:
            pass  # nobody is there to be answered
        elif len(body) > MAX_BODY_BYTES:
            message = f"The body is longer than {MAX_BODY_BYTES} bytes, which is as much as a managed model gets."
            await _refuse(send, 413, "request_too_large", message)
        elif (plain := self._plain(body)) is None:
            await _refuse(send, 400, "body_unreadable", "The body must be one JSON object that names `model` once.")
        else:
            await self._app(_told(scope, plain), _given(plain, receive), send)

    def _plain(self, body: bytes) -> bytes | None:
        """None for what is no object, and for one with two models: HAProxy came here by the first of them."""
        try:
            asked = json.loads(body, object_pairs_hook=_one_model)
            if not isinstance(asked, dict):
                return None
            return json.dumps({key: value for key, value in asked.items() if not self._is_order(key)}).encode()
        except (ValueError, RecursionError):
            return None

    def _is_order(self, key: str) -> bool:
        return key in self._orders or key.startswith(ORDER_PREFIXES)


def _one_model(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises ValueError where it names two models."""
    if sum(key == "model" for key, _ in pairs) > 1:
        raise ValueError("two models")
    return dict(pairs)


async def _whole(receive: Receive) -> bytes | None:
    """A body, at most a message longer than MAX_BODY_BYTES; None if the client left before its end."""
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _told(scope: Scope, body: bytes) -> Scope:
    spoken_for = (b"content-length", b"content-type", b"transfer-encoding")
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in spoken_for]
    written = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return {**scope, "headers": [*headers, *written]}


def _given(body: bytes, receive: Receive) -> Receive:
    """Says the body once, and then what the server says: that the client has left."""
    left = [body]

    async def message() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return message


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    from litellm.proxy.proxy_cli import run_server  # so that the classes above can be tried without it
    from litellm.proxy.proxy_server import app
    from litellm.types.router import GenericLiteLLMParams
    from litellm.types.utils import all_litellm_params

    app.add_middleware(WithoutOrders, orders=ORDERS.union(all_litellm_params, GenericLiteLLMParams.model_fields))
    app.add_middleware(KeyRequired)
    run_server()
