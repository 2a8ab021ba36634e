"""Completions: vLLM's routes that an `EngineService` answers, whole and streamed."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ..service import Aborted, Busy, EngineDead, EngineService, Generation
from ..settings import ServeSettings
from .bodies.parsing import CompletionRequest, Model, parse
from .bodies.sampling import Kind
from .choices import SaidChoice
from .errors import ApiError, internal, invalid, problem, unavailable
from .responses import DONE, End, TokenUsage, Writer, failure

MAX_BODY_BYTES = 64 * 2**20
"""vLLM 0.32 has no limit (0.33: 32 MiB); this one holds any context, and keeps a wrong client from filling a small
machine's memory."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LEFT = 499
"""For the log: nobody is there to read it."""
_log = logging.getLogger("simulator.api")
T = TypeVar("T")

_NO_TOKENIZER = "cannot schedule new futures after shutdown"
"""Python's words: at SIGTERM vLLM shuts the pool of threads down that its tokenizer runs in."""


class Api:
    """The completions of one server."""

    def __init__(self, settings: ServeSettings, service: EngineService) -> None:
        self.settings = settings
        self.service = service
        self._model = Model(
            settings.served_names,
            settings.max_model_len,
            settings.block_size,
            settings.output_tokens,
            settings.vocabulary,
            settings.tool_parser,
            settings.automatic_tools,
        )

    async def chat(self, http: Request) -> Response | Answering:
        return await self._complete("chat", http, await read_json(http))

    async def completions(self, http: Request) -> Response | Answering:
        return await self._complete("completion", http, await read_json(http))

    async def invocations(self, http: Request) -> Response | Answering:
        """SageMaker's way in: either kind, by what the body holds. **vLLM asks for no key here.**"""
        body = await read_json(http)
        kind: Kind = "chat" if isinstance(body, dict) and "messages" in body else "completion"
        return await self._complete(kind, http, body)

    async def _complete(self, kind: Kind, http: Request, body: object) -> Response | Answering:
        request = parse(kind, body, self._model)
        asked_id = http.headers.get("X-Request-Id", "")
        request_id = asked_id if _REQUEST_ID.fullmatch(asked_id) else new_id()
        writer = Writer(kind, request_id, int(time.time()), self.settings.served_names[0])
        if self.service.faults.current.kind == "error500":
            raise internal("A fault was injected by POST /sim/faults.")
        if request.has_text and self.service.ends:
            raise internal(_NO_TOKENIZER)
        try:
            self.service.check()
        except Busy as busy:
            raise unavailable(str(busy)) from busy
        if self.settings.log_requests:
            _log.info("Received request %s: prompt_tokens=%d", writer.id, request.prompt_tokens)
        said = [SaidChoice(choice, kind, request.logprobs) for choice in request.choices]
        serving = Answering(self, request, writer, said)
        if request.stream:
            return serving
        return await _unless_left(http.receive, serving.whole()) or Response(status_code=_LEFT)


@dataclass(slots=True)
class Answering:
    """One request on its way. As an ASGI application it is the stream: its 200 goes before the engine has seen it."""

    api: Api
    request: CompletionRequest
    writer: Writer
    said: Sequence[SaidChoice]
    generations: list[Generation] = field(default_factory=list)

    async def whole(self) -> Response:
        ends = [said.end for said in self.said]
        try:
            await self._submit()
            for generation in self.generations:
                seen = 0
                while seen < generation.output.tokens:
                    seen = await generation.progress(seen)
        except Aborted:
            ends = [End("abort")] * len(ends)
        except Busy as busy:
            raise unavailable(str(busy)) from busy
        except EngineDead as dead:
            raise internal(str(dead)) from dead
        finally:
            self._release()
        counts = [g.sequence.generated for g in self.generations] or [0] * len(ends)
        choices = [
            said.whole(self.writer, index, count, end)
            for index, (said, count, end) in enumerate(zip(self.said, counts, ends, strict=True))
        ]
        return JSONResponse(self.writer.whole(choices, self._usage()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await _unless_left(receive, self._stream(send))

    async def _stream(self, send: Send) -> None:
        """An event whenever there are new tokens. What fails now fails within the 200."""

        async def write(data: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        seen = [0] * len(self.request.choices)
        try:
            await self._submit()
            while any(count < g.output.tokens for count, g in zip(seen, self.generations, strict=True)):
                await self._moved(seen)
                for index in range(len(seen)):
                    if events := self._events(index, seen):
                        await write(events)
            usage = self.writer.usage(self._usage()) if self._include_usage else b""
            await write(usage + DONE, more=False)
        except Aborted:
            await write(self._abort(seen) + DONE, more=False)
        except Busy as busy:
            await write(failure(unavailable(str(busy)).to_json()), more=False)
        except EngineDead as dead:
            await write(failure(internal(str(dead)).to_json()), more=False)
        finally:
            self._release()

    async def _moved(self, seen: list[int]) -> None:
        """Returns when some choice has more tokens than were seen of it."""
        while all(g.sequence.generated == count for count, g in zip(seen, self.generations, strict=True)):
            for generation in self.generations:
                if generation.end is not None:
                    raise generation.end
            self.generations[0].changed.clear()
            await self.generations[0].changed.wait()

    def _events(self, index: int, seen: list[int]) -> bytes:
        """The events of a choice's new tokens, which are seen from then on."""
        generation, before = self.generations[index], seen[index]
        now = seen[index] = generation.sequence.generated
        if now == before:
            return b""
        usage = self._usage() if self._continuous else None
        return self.said[index].events(self.writer, index, before, now, usage, usage_follows=self._include_usage)

    def _abort(self, seen: list[int]) -> bytes:
        """What ends the choices that had begun. One that the engine never took ends in nothing at all."""
        return b"".join(
            self.writer.last(index, {"content": ""}, End("abort"), None)
            for index, generation in enumerate(self.generations)
            if seen[index] < generation.output.tokens
        )

    async def _submit(self) -> None:
        await self.api.service.enter()
        changed = asyncio.Event()
        for choice in self.request.choices:
            self.generations.append(self.api.service.submit(choice.prompt, choice.output, changed))

    def _release(self) -> None:
        for generation in self.generations:
            self.api.service.release(generation)

    @property
    def _include_usage(self) -> bool:
        return self.request.include_usage or self.api.settings.force_include_usage

    @property
    def _continuous(self) -> bool:
        return self.request.continuous_usage or self.api.settings.force_include_usage

    def _usage(self) -> TokenUsage:
        cached = sum(generation.sequence.cached for generation in self.generations)
        return TokenUsage(
            self.request.prompt_tokens,
            sum(generation.sequence.generated for generation in self.generations),
            cached if self.api.settings.prompt_tokens_details else None,
        )


async def read_json(http: Request) -> Any:
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise invalid_media_type()
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BadRequestError", "The body is too large.")
    if not body:
        raise invalid("body", problem("missing", "body", "Field required", None))
    try:
        return json.loads(bytes(body))
    except json.JSONDecodeError as error:
        location = f"body.{error.pos}"
        raise invalid(location, problem("json_invalid", location, "JSON decode error", {}, error=error.msg)) from error
    except (ValueError, RecursionError) as error:
        raise invalid("body", problem("json_invalid", "body", "JSON decode error", {}, error=str(error))) from error


def invalid_media_type() -> ApiError:
    message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
    return ApiError(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST.phrase, message)


def new_id() -> str:
    """16 hex digits, as vLLM's."""
    return uuid.uuid4().hex[16:]


async def _unless_left(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """The outcome of `work`, which is cancelled as soon as the client leaves."""
    task, left = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        left.cancel()
        task.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
