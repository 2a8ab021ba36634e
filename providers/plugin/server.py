"""The plugin as a process: gRPC to the engine, clean messages instead of tracebacks, progress while it waits."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any

import grpc
from pulumi.provider.experimental import server
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

from images.remote.errors import RemoteError
from providers.plugin.handler import Handler, InitFailed
from providers.plugin.provider import Gpucloud, failed_state
from providers.plugin.turns.replacing import Replacements
from strict.engine.alive import when_gone
from strict.engine.callers import LOOPBACK, AsyncGuard

VERSION = "0.1.0"
ENGINE_GONE = 75
"""The exit status of a plugin whose engine is gone; sysexits.h calls it a temporary failure."""


class EngineLog:
    """Shows a line in the Info column of a resource, or a warning that stays, in the order in which they were said;
    thread-safe, never fails its caller."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stub: Any = None
        self._in_turn = asyncio.Lock()
        """One line at a time: the engine takes calls as they come, and shows lines as it takes them."""

    def connect(self) -> None:
        """Must be called once inside the serving loop, to which grpc.aio channels are bound."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._stub = engine_pb2_grpc.EngineStub(grpc.aio.insecure_channel(self._address))

    def __call__(self, urn: str, message: str, warning: bool = False) -> None:
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._send(urn, message, warning), self._loop)

    async def _send(self, urn: str, message: str, warning: bool) -> None:
        severity = engine_pb2.LogSeverity.WARNING if warning else engine_pb2.LogSeverity.INFO
        request = engine_pb2.LogRequest(severity=severity, urn=urn, message=message, ephemeral=not warning)
        async with self._in_turn:
            try:
                await self._stub.Log(request)
            except grpc.aio.AioRpcError:
                return  # the engine is gone: its own end reports that


def serve(handlers: Mapping[str, Handler], arguments: list[str], replacements: Replacements | None = None) -> None:
    """Serves its own user until the engine ends it or is gone. The first argument is the engine's address.

    Without an engine nobody takes note of what is rented or ended, and the next one may be at work on the same
    machines: so the process ends at once, in the middle of whatever it does.
    """
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(handlers, arguments, replacements))


async def _serve(handlers: Mapping[str, Handler], arguments: list[str], replacements: Replacements | None) -> None:
    log, guard = EngineLog(arguments[0]), AsyncGuard()
    _Servicer.handlers = handlers
    _Servicer.log = log
    servicer = _Servicer(arguments, VERSION, Gpucloud(handlers, log, replacements), engine_address=arguments[0])
    served = grpc.aio.server(interceptors=[guard], options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, served)
    guard.port = served.add_insecure_port(f"{LOOPBACK}:0")
    await served.start()
    when_gone(arguments[0], lambda: os._exit(ENGINE_GONE))
    print(guard.port, flush=True)
    await served.wait_for_termination()


class _Servicer(server.ProviderServicer):
    """Exceptions become what the engine understands: see docs/reference/plugin.md."""

    handlers: Mapping[str, Handler]
    log: EngineLog

    async def _answer(self, call: Awaitable[Any], urn: str, context: Any) -> Any:
        self.log.connect()
        try:
            return await call
        except InitFailed as e:
            await context.abort(
                grpc.StatusCode.UNKNOWN,
                str(e),
                (("grpc-status-details-bin", self._init_failed(urn, e).SerializeToString()),),
            )
        except RemoteError as e:
            await context.abort(grpc.StatusCode.UNKNOWN, str(e))
        except Exception as e:
            frame = traceback.extract_tb(e.__traceback__)[-1]
            where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            print(traceback.format_exc(), file=sys.stderr)
            await context.abort(grpc.StatusCode.UNKNOWN, f"bug in gpucloud at {where}: {type(e).__name__}: {e}")

    def _init_failed(self, urn: str, e: InitFailed) -> status_pb2.Status:
        properties, inputs = failed_state(self.handlers, urn, e)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(e))
        status.details.add().Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=e.resource_id, properties=properties, reasons=e.reasons, inputs=inputs
            )
        )
        return status

    async def Check(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Check(request, context), request.urn, context)

    async def Diff(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Diff(request, context), request.urn, context)

    async def Create(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Create(request, context), request.urn, context)  # type: ignore[no-untyped-call]

    async def Read(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Read(request, context), request.urn, context)  # type: ignore[no-untyped-call]

    async def Update(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Update(request, context), request.urn, context)  # type: ignore[no-untyped-call]

    async def Delete(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Delete(request, context), request.urn, context)  # type: ignore[no-untyped-call]
