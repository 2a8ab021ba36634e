"""How a server comes to its end, in vLLM 0.32's order and with its budget (captured from a real one).

The API server goes on listening, with /health at 200, until the engine is gone. While requests in flight end, new ones
are aborted: a whole answer is empty, a stream is only [DONE]. While the engine is torn down they wait, and fail when it
is gone. Told to stop with nothing in flight, they wait for ever, and the process with them. All that is so for prompts
of token ids: whatever has text is answered 500 at once, since the tokenizer goes first.
"""

from __future__ import annotations

import asyncio
import logging
import time

from ..service import EngineService
from ..settings import ServeSettings

KILLED_S = 1.0
"""From the last answer of a server whose engine was killed to its end; 1.4 s from the engine's death to it in all."""
_UNHEALTHY_S = 0.1
"""How long it still listens, with /health at 503."""
_log = logging.getLogger("simulator.server")


async def drain(service: EngineService, settings: ServeSettings) -> None:
    """--shutdown-timeout is the budget of what is in flight and of the teardown together."""
    budget_s, started_s = settings.shutdown_timeout_s, time.monotonic()
    in_flight = service.in_flight
    _log.info("Shutting down: %d requests in flight, up to %d s", in_flight, budget_s)
    if budget_s == 0:
        _log.warning("Aborting %d requests in flight", in_flight)
        service.state = "draining"
        service.abort()
        await service.wait_idle(KILLED_S)
    else:
        service.state = "draining" if in_flight else "wedged"
        if await service.wait_idle(budget_s):
            service.state = "teardown" if in_flight else "wedged"
            left_s = budget_s - (time.monotonic() - started_s)
            await asyncio.sleep(max(0.0, min(settings.teardown_s * settings.time_scale, left_s)))
        else:
            _log.warning("Killing the engine with %d requests in flight", service.in_flight)
    service.die()


async def fail(service: EngineService, time_scale: float) -> None:
    """The engine is dead: its requests fail at once; the server is seen unhealthy, then closes."""
    _log.error("The engine died unexpectedly")
    service.die()
    await asyncio.sleep(_UNHEALTHY_S * time_scale)
