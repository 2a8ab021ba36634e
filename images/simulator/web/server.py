"""The life of a server process: bind, start, serve, and the end of it as vLLM's launcher has it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

import uvicorn
import uvloop
from starlette.types import ASGIApp

from .. import VERSION
from ..engine import EngineCore, Speed
from ..faults import Fault, Faults
from ..gpumemory import GpuMemory
from ..kvcache import KvCache
from ..metrics import ServerMetrics
from ..service import Admission, EngineService
from ..settings import ServeSettings
from .app import application
from .ending import KILLED_S, drain, fail

_STATISTICS_S = 10.0
_log = logging.getLogger("simulator.server")


def run(settings: ServeSettings) -> int:
    """Serves until SIGTERM or SIGINT. 0 after a shutdown, whatever it had to cut; 1 if it could not start."""
    _configure_logging(settings.log_level)
    try:
        listener = _bind(settings.host, settings.port)
    except OSError as error:
        return _cannot_start(error)
    with listener:
        return uvloop.run(_serve(settings, listener))


def build(settings: ServeSettings, faults: Faults) -> EngineService:
    """The engines that the settings describe, each with its share of the server's throughput and KV cache."""
    size = settings.data_parallel_size
    speed = Speed(
        settings.prefill_tokens_per_s / size, settings.decode_tokens_per_s / size, settings.sequence_tokens_per_s
    )
    blocks = settings.kv_cache_tokens // size // settings.block_size
    engines = [
        EngineCore(
            speed,
            KvCache(blocks, settings.block_size, prefix_caching=settings.prefix_caching),
            settings.max_num_seqs,
            settings.max_num_batched_tokens,
        )
        for _ in range(size)
    ]
    metrics = ServerMetrics(settings.served_names[0], engines)
    limits = Admission(settings.max_num_queued_reqs, settings.max_num_queued_tokens)
    return EngineService(engines, metrics, faults, limits=limits, time_scale=settings.time_scale)


class UvicornServer(uvicorn.Server):
    """uvicorn, whose signals are ours, and which may leave connections open at its end."""

    def __init__(self, config: uvicorn.Config, faults: Faults) -> None:
        super().__init__(config)
        self.lifespan = config.lifespan_class(config)
        self._faults = faults

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._faults.current.kind == "linger":
            for server in self.servers:
                server.close()
            while self.server_state.connections:  # noqa: ASYNC110, as uvicorn waits for them: nothing tells
                await asyncio.sleep(0.05)
        await super().shutdown(sockets)


def _config(app: ASGIApp, settings: ServeSettings) -> uvicorn.Config:
    tls = settings.tls
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=settings.keep_alive_s,
        ssl_certfile=tls.certfile if tls else None,
        ssl_keyfile=tls.keyfile if tls else None,
        ssl_ca_certs=tls.ca_certs if tls else None,
        ssl_cert_reqs=tls.cert_reqs if tls else 0,
    )
    config.load()
    return config


async def _serve(settings: ServeSettings, listener: socket.socket) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    _log.info("vLLM simulator %s, model %s, served as %s", VERSION, settings.model, ", ".join(settings.served_names))
    memory = GpuMemory(settings.gpu_memory_file, settings.gpu_memory_utilization)
    faults = Faults(os._exit)
    service = build(settings, faults)
    try:
        memory.take()
        if await _stopped_within(stopping, settings.startup_s * settings.time_scale):
            return 0
        server = UvicornServer(_config(application(settings, service), settings), faults)
        await server.startup([listener])
    except (ImportError, ValueError, OSError) as error:  # ssl.SSLError is an OSError
        return _cannot_start(error)
    scheme = "https" if settings.tls else "http"
    _log.info("Listening on %s://%s:%d", scheme, settings.host, listener.getsockname()[1])
    return await _run(settings, stopping, server, service, memory, listener)


async def _run(
    settings: ServeSettings,
    stopping: asyncio.Event,
    server: UvicornServer,
    service: EngineService,
    memory: GpuMemory,
    listener: socket.socket,
) -> int:
    """From the first request to the exit code."""
    killed = asyncio.Event()

    def kill(fault: Fault) -> None:
        if fault.kind == "orphan":
            _log.warning("A worker outlives the engine: pid=%d", memory.orphan(fault.seconds))
        killed.set()

    service.faults.kill = kill
    engines, report = asyncio.create_task(service.run()), asyncio.create_task(_report(service))
    tick = asyncio.create_task(server.main_loop())
    reasons = [asyncio.create_task(event.wait()) for event in (stopping, killed)]
    await asyncio.wait((engines, *reasons), return_when=asyncio.FIRST_COMPLETED)
    died = engines.done()
    if killed.is_set() or died:
        await fail(service, settings.time_scale)
    else:
        await drain(service, settings)
    server.should_exit = True
    await tick
    await server.shutdown([listener])
    if killed.is_set():
        await asyncio.sleep(KILLED_S * settings.time_scale)
    for task in (report, engines, *reasons):
        task.cancel()
    outcome, *_ = await asyncio.gather(engines, report, *reasons, return_exceptions=True)
    if died:
        _log.error("The engines died", exc_info=outcome)
        return 1
    _log.info("Stopped")
    return 0


async def _report(service: EngineService) -> None:
    """vLLM's line of statistics, every ten seconds in which something happened."""
    before = 0
    while True:
        await asyncio.sleep(_STATISTICS_S)
        produced = service.tokens_generated
        running = sum(len(engine.running) for engine in service.engines)
        waiting = sum(len(engine.waiting) for engine in service.engines)
        if produced != before or running or waiting:
            usage = max(engine.cache.usage for engine in service.engines)
            _log.info(
                "Avg generation throughput: %.1f tokens/s, Running: %d reqs, Waiting: %d reqs, KV cache usage: %.1f%%",
                (produced - before) / _STATISTICS_S,
                running,
                waiting,
                usage * 100,
            )
        before = produced


async def _stopped_within(stopping: asyncio.Event, seconds: float) -> bool:
    """Waits as a model loads: bound, but not listening, so that connections are refused. True if told to stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
    return stopping.is_set()


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet. OSError if the address is taken or is none of this machine."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def _cannot_start(error: Exception) -> int:
    _log.error("Cannot start: %s: %s", type(error).__name__, error)
    return 1


def _configure_logging(level: str) -> None:
    """To stdout, as vLLM does. Keys and prompts are logged nowhere."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(levelname)s %(asctime)s [%(name)s] %(message)s", "%m-%d %H:%M:%S"))
    logging.basicConfig(level="DEBUG" if level == "trace" else level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
