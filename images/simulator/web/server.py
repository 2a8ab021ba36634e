"""The life of a server process: bind, start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from contextlib import suppress

from aiohttp import web

from .. import VERSION
from ..engine import EngineCore, Speed
from ..faults import Faults
from ..kvcache import KvCache
from ..metrics import ServerMetrics
from ..service import Admission, EngineService
from ..settings import ServeSettings, Tls
from .api import Api

_BACKLOG = 2048
_KEEP_ALIVE_S = 5.0
"""Idle connections are closed after it, as in vLLM (VLLM_HTTP_TIMEOUT_KEEP_ALIVE)."""
_CUT_S = 0.05
"""How long aiohttp may take to cut what is left. Not 0, which means for ever there."""
_STATISTICS_S = 10.0
_log = logging.getLogger("simulator.server")


def run(settings: ServeSettings) -> int:
    """Serves until SIGTERM or SIGINT. 0 after a shutdown, whatever it had to cut; 1 if it could not start."""
    _configure_logging(settings.log_level)
    try:
        context = _tls_context(settings.tls) if settings.tls else None
        listener = _bind(settings.host, settings.port)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        _log.error("Cannot start: %s", error)
        return 1
    with listener:
        return asyncio.run(_serve(settings, listener, context))


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


async def _serve(settings: ServeSettings, listener: socket.socket, context: ssl.SSLContext | None) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    _log.info("vLLM simulator %s, model %s, served as %s", VERSION, settings.model, ", ".join(settings.served_names))
    if await _stopped_within(stopping, settings.startup_s * settings.time_scale):
        return 0
    service = build(settings, Faults(os._exit))
    api = Api(settings, service)
    runner = web.AppRunner(
        api.application(),
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=_KEEP_ALIVE_S,
        shutdown_timeout=_CUT_S,
    )
    await runner.setup()
    site = web.SockSite(runner, listener, ssl_context=context, backlog=_BACKLOG)
    try:
        await site.start()
    except OSError as error:  # another process that had bound it, too, was faster to listen
        _log.error("Cannot start: %s", error)
        return 1
    engines, report = asyncio.create_task(service.run()), asyncio.create_task(_report(service))
    engines.add_done_callback(lambda _: stopping.set())
    _log.info("Listening on %s", site.name)
    await stopping.wait()
    died = engines.done()
    await _drain(settings, api, service, runner, site, timeout_s=0 if died else settings.shutdown_timeout_s)
    report.cancel()
    engines.cancel()
    outcome, _ = await asyncio.gather(engines, report, return_exceptions=True)
    if died:
        _log.error("The engines died", exc_info=outcome)
        return 1
    _log.info("Stopped")
    return 0


async def _drain(
    settings: ServeSettings,
    api: Api,
    service: EngineService,
    runner: web.AppRunner,
    site: web.SockSite,
    *,
    timeout_s: int,
) -> None:
    """Takes nothing new, lets what is in flight end within --shutdown-timeout, and cuts the rest."""
    api.draining = True
    _log.info("Shutting down: %d requests in flight, up to %d s", service.in_flight, timeout_s)
    if not settings.listen_while_draining:
        await site.stop()
        await asyncio.sleep(0)
        if runner.server is not None:
            runner.server.pre_shutdown()  # closes idle connections now and busy ones after their answer
    if not await service.wait_idle(timeout_s):
        _log.warning("Aborting %d requests in flight", service.in_flight)
    await runner.cleanup()


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


def _tls_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certfile, tls.keyfile)
    context.verify_mode = ssl.VerifyMode(tls.cert_reqs)
    if tls.ca_certs:
        context.load_verify_locations(tls.ca_certs)
    return context


def _configure_logging(level: str) -> None:
    """To stdout, as vLLM does. Keys and prompts are logged nowhere."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(levelname)s %(asctime)s [%(name)s] %(message)s", "%m-%d %H:%M:%S"))
    logging.basicConfig(level="DEBUG" if level == "trace" else level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
