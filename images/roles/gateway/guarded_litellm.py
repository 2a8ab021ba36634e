"""LiteLLM's own command, with one thing before it: no path answers who does not show the master key.

Left to itself it shows its routes, models and settings to every user of the gateway's machine (`/openapi.json`,
`/routes`, `/public/…`, `/sso/…`). Its environment's Python runs this file: it imports nothing of ours.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
REFUSAL = b'{"error": {"message": "No key, or one that is not known here.", "type": "invalid_request_error"}}'


class KeyRequired:
    """The application, for those who have the key."""

    def __init__(self, app: Callable[[Scope, Any, Send], Awaitable[None]]) -> None:
        self._app = app
        self._shown = b"Bearer " + os.environb[b"LITELLM_MASTER_KEY"]

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan" or self._knows(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(REFUSAL))]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSAL})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _knows(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._shown)


if __name__ == "__main__":
    from litellm.proxy.proxy_cli import run_server  # so that the class above can be tried without it
    from litellm.proxy.proxy_server import app

    app.add_middleware(KeyRequired)
    run_server()
