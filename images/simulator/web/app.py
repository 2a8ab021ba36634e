"""The ASGI application: routes in layers, the outermost last. Theirs are vLLM's: --middleware outside of the key."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import inspect
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..service import EngineService
from ..settings import ServeSettings
from .api import Api
from .errors import ApiError
from .pages import Pages

_GUARDED = ("/v1", "/v2", "/inference", "/cohere", "/sim")
"""Prefixes that need the key: vLLM's, and the faults. All else is open."""
_access = logging.getLogger("simulator.access")


def application(settings: ServeSettings, service: EngineService) -> ASGIApp:
    """Raises ImportError or ValueError for a --middleware that cannot be had."""
    handlers: dict[Any, Any] = {ApiError: _refused, HTTPException: _detail}
    app = Starlette(routes=_routes(settings, service), exception_handlers=handlers)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    if settings.api_keys:
        app.add_middleware(Authentication, keys=settings.api_keys)
    for path in settings.middleware:
        layer = _imported(path)
        if inspect.isclass(layer):
            app.add_middleware(cast("Any", layer))
        elif inspect.iscoroutinefunction(layer):
            app.add_middleware(BaseHTTPMiddleware, dispatch=layer)
        else:
            raise ValueError(f"Invalid middleware {path}. Must be a function or a class.")
    return AccessLog(app, settings.access_log_excluded) if settings.access_log else app


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    found = importlib.import_module(module)
    if not hasattr(found, name):
        raise ImportError(f"{module} has no {name}")
    return getattr(found, name)


def _routes(settings: ServeSettings, service: EngineService) -> list[Route]:
    api, pages = Api(settings, service), Pages(settings, service)
    routes = [
        Route("/health", pages.health),
        Route("/ping", pages.health, methods=["GET", "POST"]),
        Route("/version", pages.version),
        Route("/load", pages.load),
        Route("/metrics", pages.metrics),
        Route("/tokenize", pages.tokenize, methods=["POST"]),
        Route("/detokenize", pages.detokenize, methods=["POST"]),
        Route("/invocations", api.invocations, methods=["POST"]),
        Route("/is_scaling_elastic_ep", pages.scaling, methods=["POST"]),
        Route("/kv_event_sources", pages.kv_event_sources),
        Route("/v1/models", pages.models),
        Route("/v1/chat/completions", api.chat, methods=["POST"]),
        Route("/v1/completions", api.completions, methods=["POST"]),
    ]
    if settings.docs:
        routes += [Route("/openapi.json", pages.openapi)]
        routes += [Route(path, pages.docs) for path in ("/docs", "/docs/oauth2-redirect", "/redoc")]
    if settings.faults:
        routes += [
            Route("/sim/faults", pages.get_fault),
            Route("/sim/faults", pages.set_fault, methods=["POST"]),
            Route("/sim/faults", pages.clear_fault, methods=["DELETE"]),
        ]
    for route in routes:
        (route.methods or set()).discard("HEAD")  # FastAPI adds none to a GET, Starlette does
    return routes


async def _refused(_: Request, error: ApiError) -> Response:
    return JSONResponse(error.to_json(), error.status)


async def _detail(_: Request, error: HTTPException) -> Response:
    """What no route takes, as vLLM's web framework says it."""
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


class Authentication:
    """vLLM's: by the path's prefix, for all methods but OPTIONS."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = [hashlib.sha256(key.encode()).digest() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "http" and scope["method"] != "OPTIONS" and scope["path"].startswith(_GUARDED)
        if guarded and not self._knows(Headers(scope=scope).get("authorization", "")):
            await JSONResponse({"error": "Unauthorized"}, HTTPStatus.UNAUTHORIZED)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._keys]
        return scheme.lower() == "bearer" and any(matches)


class AccessLog:
    """One line a request: no query, no headers, no body. Streams are logged when they end. uvicorn's own would show
    queries."""

    def __init__(self, app: ASGIApp, excluded: frozenset[str]) -> None:
        self._app = app
        self._excluded = excluded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._excluded:
            await self._app(scope, receive, send)
            return
        status: object = "cut"

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            client = (scope.get("client") or ["-"])[0]
            _access.info("%s - %s %r %s", client, scope["method"], scope["path"], status)
