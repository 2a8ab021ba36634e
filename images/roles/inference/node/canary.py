"""Whether the engine works: what the guard says to a canary, the gateway's question to a node that may be hung.

A canary that waits its turn behind eighty long prompts says that a busy engine hangs. So it is asked of the engine only
where nothing has moved: else what moved is the answer. vLLM writes its statistics at every step of its scheduler, a
chunk of a prompt's too (`Scheduler.make_stats`), in the process that serves; an engine that hangs leaves them as they
were.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

HEADER = "x-crossover-canary"
"""With it, a completion is a canary. A node of before passes it on to the engine, as any completion."""
FRESH_S = 2.0
"""What moved within so long is not asked again: several gateways ask one node, and a step takes less."""
PATIENCE_S = 2.5
"""For the engine's answer. Three of them and the gateway's pauses are within 15 s."""

_MOVES = re.compile(rb"^\w+[:_](?:prompt_tokens_total|generation_tokens_total|kv_cache_usage_perc)[{ ].*", re.MULTILINE)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_canary(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether those of a request that passes make it one."""
    return any(name == HEADER.encode() for name, _ in headers)


class Canaries:
    """Answers them for one application."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._seen: list[bytes] = []
        self._moved_at_s = float("-inf")

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 where the engine has moved lately, else its own answer; 504 where it has none, and still has not moved.

        One that refuses the canary because it is busy says so itself.
        """
        answer: list[Message] = []
        works = await self._moves(scope)
        if not works:
            try:
                await asyncio.wait_for(self._app(scope, receive, _into(answer)), PATIENCE_S)
            except TimeoutError:
                answer.clear()
                works = await self._moves(scope)
        for message in _said(200, "working") if works else answer or _said(504, "hung"):
            await send(message)

    async def _moves(self, scope: Scope) -> bool:
        seen = _MOVES.findall(await self._metrics(scope))
        if self._seen and seen != self._seen:
            self._moved_at_s = time.monotonic()
        self._seen = seen
        return time.monotonic() - self._moved_at_s <= FRESH_S

    async def _metrics(self, scope: Scope) -> bytes:
        """The engine's own, asked within the process: an engine that cannot say them moves nothing."""
        asked = {
            **scope,
            "method": "GET",
            "path": "/metrics",
            "raw_path": b"/metrics",
            "query_string": b"",
            "headers": [],
        }
        answer: list[Message] = []
        await self._app(asked, _nothing, _into(answer))
        return b"".join(message.get("body", b"") for message in answer)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _into(answer: list[Message]) -> Send:
    async def send(message: Message) -> None:
        answer.append(message)

    return send


def _said(status: int, word: str) -> list[Message]:
    body = json.dumps({"engine": word}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return [start, {"type": "http.response.body", "body": body}]
