"""What a node lets through: `vllm serve … --middleware crossover_node.guard.Guard`.

vLLM's own key guards a few prefixes only: 0.32 and 0.33 complete a prompt at /invocations without it. So this stands
before all of vLLM's routes, and says for each request whether it goes on:

    /v1/…                with the key
    /health, /metrics…   GET and HEAD, without it: who gets this far has shown the stack's client certificate
    anything else        404

It touches nothing of what it lets through but the former key, in whose place vLLM gets its own, so nothing is
buffered; canaries it may answer itself (`canary.py`). vLLM wraps its application in a class as it is, and a function in
Starlette's BaseHTTPMiddleware, which would put every chunk of a stream through a queue: hence a class.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from collections.abc import Iterable, Mapping

from .canary import App, Canaries, Receive, Scope, Send, is_canary

KEY_VARIABLE = "VLLM_API_KEY"
"""The key that vLLM itself reads."""
FORMER_KEY_VARIABLE = "CROSSOVER_FORMER_KEY"
"""The key of the generation before, while gateways still show it."""

_KEYED = re.compile(r"/v1(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@-]+)+")
"""Whole segments of plain characters: what the router sees is what was asked for. `//`, `..` and an escape end here."""
_OPEN = re.compile(r"/health|/metrics(?:/[A-Za-z0-9_-]+)*/?")

_NOT_FOUND = (404, "unknown_url", "There is nothing here.")
_NO_KEY = (401, "invalid_api_key", "No API key, or one that is not known here.")


class Guard:
    """An ASGI application around another. Without a key in the environment nothing passes that needs one."""

    def __init__(self, app: App, environment: Mapping[str, str] = os.environ) -> None:
        self.app = app
        self._canaries = Canaries(app)
        self._key = environment.get(KEY_VARIABLE, "").encode()
        self._former = environment.get(FORMER_KEY_VARIABLE, "").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's life (which passes). A WebSocket is refused, and what is neither."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": f"{scope['type']}.close"})
        elif refusal := self._refusal(scope):
            await _refuse(send, *refusal)
        elif scope["method"] == "POST" and is_canary(scope["headers"]):
            await self._canaries.answer(self._translated(scope), receive, send)
        else:
            await self.app(self._translated(scope), receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Status, code and message; None for what may pass."""
        path = scope["path"]
        # A router takes the root's path off, and an escaped path is another one to whoever stands before it.
        if scope.get("root_path") or b"%" in (scope.get("raw_path") or b""):
            return _NOT_FOUND
        if _OPEN.fullmatch(path):
            return None if scope["method"] in ("GET", "HEAD") else _NOT_FOUND
        if not _KEYED.fullmatch(path):
            return _NOT_FOUND
        return None if self._knows(scope["headers"]) else _NO_KEY

    def _knows(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether exactly one Authorization holds a key, compared in a time that tells nothing of it."""
        given = [value for name, value in headers if name == b"authorization"]
        return len(given) == 1 and (_is(given[0], self._key) or _is(given[0], self._former))

    def _translated(self, scope: Scope) -> Scope:
        """With vLLM's own key where the former one was shown: vLLM knows one."""
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        if not (shown and _is(shown[0], self._former)):
            return scope
        others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        return {**scope, "headers": [*others, (b"authorization", b"Bearer " + self._key)]}


def _is(value: bytes, key: bytes) -> bool:
    scheme, _, given = value.partition(b" ")
    return bool(key) and scheme.lower() == b"bearer" and hmac.compare_digest(given, key)


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
