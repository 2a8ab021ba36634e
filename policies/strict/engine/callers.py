"""Who may call a server of ours: the user whom its process runs as, and nobody else on this computer.

Pulumi's engine reaches plugins over gRPC on a port of loopback, without a key: whoever can open a connection could
have the plugin rent machines, end them, or run commands as its user. So each call is asked whose its connection is.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from strict.engine.sockets import user_of

_PEER = re.compile(r"ipv4:(127\.[0-9.]+):([0-9]+)")
LOOPBACK = "127.0.0.1"


class OwnUser:
    """What the interceptors share: the port that the server listens on, told once it is known."""

    def __init__(self) -> None:
        self.port = 0

    def refusal(self, context: Any) -> str | None:
        """Why the caller is refused; None for one of ours."""
        peer = _PEER.fullmatch(context.peer())
        caller = user_of((peer[1], int(peer[2])), (LOOPBACK, self.port)) if peer else None
        if caller == os.geteuid():
            return None
        who = "that is no user's connection over loopback" if caller is None else f"you are user {caller}"
        return f"this port answers user {os.geteuid()} alone, whose process it is: {who}"


class AsyncGuard(OwnUser, grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """For a server of grpc.aio. A call whose client streams is none that Pulumi makes: it is not served."""

    async def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or handler.request_streaming:
            return None
        ways = handler.request_deserializer, handler.response_serializer
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(handler.unary_stream), *ways)
        return grpc.unary_unary_rpc_method_handler(self._call(handler.unary_unary), *ways)

    async def _check(self, context: Any) -> None:
        if refusal := self.refusal(context):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal)

    def _call(self, served: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        async def guarded(request: Any, context: Any) -> Any:
            await self._check(context)
            return await served(request, context)

        return guarded

    def _stream(self, served: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        async def guarded(request: Any, context: Any) -> None:
            await self._check(context)
            answers = served(request, context)
            if inspect.isawaitable(answers):  # it writes what it has to say itself
                await answers
            else:
                await _written(answers, context)

        return guarded


async def _written(answers: AsyncIterator[Any], context: Any) -> None:
    async for answer in answers:
        await context.write(answer)


class ThreadGuard(OwnUser, grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """For a server of threads, all of whose calls have one question and one answer: others are not served."""

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return None

        def guarded(request: Any, context: Any) -> Any:
            if refusal := self.refusal(context):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal)
            return handler.unary_unary(request, context)

        ways = handler.request_deserializer, handler.response_serializer
        return grpc.unary_unary_rpc_method_handler(guarded, *ways)
