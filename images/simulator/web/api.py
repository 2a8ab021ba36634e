"""The HTTP side: vLLM's routes, authentication and streaming, over an `EngineService`."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import hdrs, web

from .. import VERSION
from ..faults import Fault
from ..service import Busy, EngineService, Generation
from ..settings import ServeSettings
from .errors import ApiError, internal, invalid, unavailable
from .parsing import CompletionRequest, Kind, Model, parse
from .responses import DONE, TokenUsage, Writer

MAX_BODY_BYTES = 64 * 2**20
"""vLLM has no limit; this one holds any context, and keeps a wrong client from filling a small machine's memory."""

_GUARDED = ("/v1", "/v2", "/inference", "/cohere", "/sim")
"""Prefixes that need the key: vLLM's, and the faults."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_access = logging.getLogger("simulator.access")
_log = logging.getLogger("simulator.api")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The routes of one server. `draining` is set when it shuts down."""

    def __init__(self, settings: ServeSettings, service: EngineService) -> None:
        self.draining = False
        self._settings = settings
        self._service = service
        self._keys = [hashlib.sha256(key.encode()).digest() for key in settings.api_keys]
        self._started = int(time.time())
        self._model = Model(settings.served_names, settings.max_model_len, settings.block_size, settings.output_tokens)

    def application(self) -> web.Application:
        app = web.Application(
            middlewares=[self._logged, self._guarded, self._answered],
            client_max_size=MAX_BODY_BYTES,
        )
        app.router.add_get("/health", self._health)
        app.router.add_get("/ping", self._health)
        app.router.add_post("/ping", self._health)
        app.router.add_get("/version", self._version)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completions)
        if self._settings.faults:
            app.router.add_get("/sim/faults", self._get_fault)
            app.router.add_post("/sim/faults", self._set_fault)
            app.router.add_delete("/sim/faults", self._clear_fault)
        return app

    # Middlewares, from the outside in.

    @web.middleware
    async def _logged(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """One line a request: no query, no headers, no body. Streams are logged when they end."""
        status = "cut"
        try:
            response = await handler(request)
            status = str(response.status)
            return response
        finally:
            if self._settings.access_log and request.path not in self._settings.access_log_excluded:
                _access.info("%s - %s %r %s", request.remote, request.method, request.path, status)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        guarded = self._keys and request.method != hdrs.METH_OPTIONS and request.path.startswith(_GUARDED)
        if guarded and not self._knows(request.headers.get(hdrs.AUTHORIZATION, "")):
            return web.json_response({"error": "Unauthorized"}, status=HTTPStatus.UNAUTHORIZED)
        return await handler(request)

    @web.middleware
    async def _answered(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Errors as JSON: ours in vLLM's shape, those of routing in its web framework's."""
        try:
            return await handler(request)
        except ApiError as error:
            return web.json_response(error.to_json(), status=error.status)
        except web.HTTPException as error:
            return web.json_response({"detail": error.reason}, status=error.status)

    def _knows(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._keys]
        return scheme.lower() == "bearer" and any(matches)

    # Routes.

    async def _health(self, _: web.Request) -> web.Response:
        """200 while the process lives, even if its engines hang; 503 on a connection left open while it drains."""
        gone = self.draining and not self._settings.listen_while_draining
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE if gone else HTTPStatus.OK)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": VERSION})

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._service.metrics.exposition(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def _models(self, _: web.Request) -> web.Response:
        cards = [
            {
                "id": name,
                "object": "model",
                "created": self._started,
                "owned_by": "vllm",
                "root": self._settings.model,
                "parent": None,
                "max_model_len": self._settings.max_model_len,
            }
            for name in self._settings.served_names
        ]
        return web.json_response({"object": "list", "data": cards})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._complete("chat", request)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._complete("completion", request)

    async def _complete(self, kind: Kind, http: web.Request) -> web.StreamResponse:
        request = parse(kind, await _json(http), self._model)
        asked_id = http.headers.get("X-Request-Id", "")
        request_id = asked_id if _REQUEST_ID.fullmatch(asked_id) else uuid.uuid4().hex
        writer = Writer(kind, request_id, int(time.time()), self._settings.served_names[0])
        if self.draining:
            return await self._refuse_draining(request, writer, http)
        if self._service.faults.current.kind == "error500":
            raise internal("A fault was injected by POST /sim/faults.")
        try:
            generation = self._service.submit(request.prompt, request.output)
        except Busy as busy:
            raise unavailable(str(busy)) from busy
        if self._settings.log_requests:
            _log.info("Received request %s: prompt_tokens=%d", writer.id, request.prompt.tokens)
        try:
            if request.stream:
                return await self._stream(request, generation, writer, http)
            return await self._whole(request, generation, writer, http)
        finally:
            self._service.release(generation)

    async def _whole(
        self, request: CompletionRequest, generation: Generation, writer: Writer, http: web.Request
    ) -> web.StreamResponse:
        output, seen = request.output, 0
        while seen < output.tokens:
            seen = await generation.progress(seen)
        usage = self._usage(request, generation, seen)
        response = web.json_response(writer.whole(output.text, output.finish_reason, output.stop_reason, usage))
        await response.prepare(http)
        await response.write_eof()  # here, so that the request is in flight until its answer is on the wire
        return response

    async def _stream(
        self, request: CompletionRequest, generation: Generation, writer: Writer, http: web.Request
    ) -> web.StreamResponse:
        """Headers at once, as vLLM sends them; then an event whenever there are new tokens."""
        response = _event_stream()
        await response.prepare(http)
        output, seen = request.output, 0
        continuous = request.continuous_usage or self._settings.force_include_usage
        while seen < output.tokens:
            before, seen = seen, await generation.progress(seen)
            usage = self._usage(request, generation, seen) if continuous else None
            if before == 0 and (first := writer.role(usage)):
                await response.write(first)
            text = output.between(before, seen)
            if seen == output.tokens:
                await response.write(writer.last(text, output.finish_reason, output.stop_reason, usage))
            elif text:
                await response.write(writer.piece(text, usage))
        if request.include_usage or self._settings.force_include_usage:
            await response.write(writer.usage(self._usage(request, generation, seen)))
        await response.write(DONE)
        await response.write_eof()
        return response

    def _usage(self, request: CompletionRequest, generation: Generation, tokens: int) -> TokenUsage:
        cached = generation.sequence.cached if self._settings.prompt_tokens_details else None
        return TokenUsage(request.prompt.tokens, tokens, cached)

    async def _refuse_draining(
        self, request: CompletionRequest, writer: Writer, http: web.Request
    ) -> web.StreamResponse:
        """503 on a connection that is about to close; what vLLM does, an empty answer that says "abort", if asked."""
        if not self._settings.listen_while_draining:
            raise unavailable("The server is shutting down.")
        usage = TokenUsage(request.prompt.tokens, 0, None)
        if not request.stream:
            return web.json_response(writer.whole("", "abort", None, usage))
        response = _event_stream()
        await response.prepare(http)
        await response.write((writer.role(None) or b"") + writer.last("", "abort", None, None) + DONE)
        await response.write_eof()
        return response

    async def _get_fault(self, _: web.Request) -> web.Response:
        return web.json_response(self._service.faults.current.to_json())

    async def _set_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.parse(await _json(request))
        except ValueError as error:
            raise invalid("body", "value_error", str(error)) from error
        return self._apply(fault)

    async def _clear_fault(self, _: web.Request) -> web.Response:
        return self._apply(Fault())

    def _apply(self, fault: Fault) -> web.Response:
        _log.warning("Fault injected: %s", json.dumps(fault.to_json()))
        self._service.faults.set(fault)
        return web.json_response(fault.to_json())


def _event_stream() -> web.StreamResponse:
    return web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8"})


async def _json(request: web.Request) -> object:
    if request.content_type != "application/json":
        message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
        raise ApiError(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST.phrase, message)
    try:
        body: object = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise invalid("body", "json_invalid", "JSON decode error") from error
    return body
