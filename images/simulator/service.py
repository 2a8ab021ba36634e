"""The engines in time: takes requests in, drives each engine's steps, and tells the waiting handlers of new tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from collections.abc import Sequence as Several
from dataclasses import dataclass
from typing import Literal

from .engine import EngineCore, Sequence
from .faults import Faults
from .metrics import ServerMetrics
from .tokens import Output, Prompt


class Busy(Exception):
    """A queue limit refuses the request; `reason` is the limit's name, the message is vLLM's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Aborted(Exception):
    """The engine ends the request before its time: what it has generated so far is its answer."""


class EngineDead(Exception):
    """There is no engine any more. The message is vLLM's."""

    def __init__(self) -> None:
        super().__init__("EngineCore encountered an issue. See stack trace (above) for the root cause.")


State = Literal["serving", "draining", "teardown", "wedged", "dead"]
"""What becomes of a request that comes now: it is served, aborted, held until the engine is gone, held for ever, or
refused."""

ADMISSION_S = 0.002
"""From a request's first check against the limits to its second, when it is added: its prompt is tokenized between
them. Requests that come within it of each other all pass the first (vLLM 0.32: 16 at once, a limit of 6)."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Admission, None for no limit. Both count over all engines, as vLLM's API server does."""

    requests: int | None = None
    """--max-num-queued-reqs: requests in flight, *waiting and running* together."""
    queued_tokens: int | None = None
    """--max-num-queued-tokens: prompt tokens of requests without a first token."""


class Generation:
    """One request being served. Its handler awaits `progress` and ends with `EngineService.release`."""

    def __init__(self, sequence: Sequence, output: Output, engine: int, changed: asyncio.Event) -> None:
        self.sequence = sequence
        self.output = output
        self.engine = engine
        self.changed = changed
        """Set at each of its tokens, and at those of the choices that it shares a request with."""
        self.end: Aborted | EngineDead | None = None

    async def progress(self, seen: int) -> int:
        """How many tokens there are, as soon as there are more than `seen`. Raises Aborted or EngineDead."""
        while self.sequence.generated <= seen:
            if self.end is not None:
                raise self.end
            self.changed.clear()
            await self.changed.wait()
        return self.sequence.generated


class EngineService:
    """The engines behind one API. `time_scale` multiplies every duration: 0.1 is ten times as fast."""

    def __init__(
        self,
        engines: Several[EngineCore],
        metrics: ServerMetrics,
        faults: Faults,
        *,
        limits: Admission = Admission(),
        time_scale: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.engines = engines
        self.metrics = metrics
        self.faults = faults
        self._limits = limits
        self._time_scale = time_scale
        self._clock = clock
        self._sleep = sleep
        self._generations: dict[Sequence, Generation] = {}
        self._work = [asyncio.Event() for _ in engines]
        self._idle = asyncio.Event()
        self._idle.set()
        self._gone = asyncio.Event()
        self.state: State = "serving"
        self.tokens_generated = 0

    @property
    def in_flight(self) -> int:
        """Requests whose handler has not released them."""
        return len(self._generations)

    @property
    def ends(self) -> bool:
        """Whether it was told to, and its engine is still there."""
        return self.state in ("draining", "teardown", "wedged")

    async def enter(self) -> None:
        """Waits as a request does between its two checks, and meets what a shutdown has for it: raises Aborted while
        requests in flight end, and EngineDead at the end of the teardown that it had to wait for, if it has one."""
        await self._sleep(ADMISSION_S * self._time_scale)
        if self.state == "draining":
            raise Aborted
        if self.state == "wedged":
            await asyncio.get_running_loop().create_future()  # until its client gives up
        if self.state == "teardown":
            await self._gone.wait()
        if self.state == "dead":
            raise EngineDead

    def submit(self, prompt: Prompt, output: Output, changed: asyncio.Event | None = None) -> Generation:
        """Queues a request on the engine with the least work, or raises Busy, which is counted."""
        self.check()
        # vLLM's balancing between data-parallel ranks, too, goes by the number of requests each has.
        index = min(range(len(self.engines)), key=lambda i: self.engines[i].unfinished)
        sequence = Sequence(prompt, output.tokens, queued_s=self._clock())
        self.engines[index].add(sequence)
        generation = Generation(sequence, output, index, changed or asyncio.Event())
        self._generations[sequence] = generation
        self._work[index].set()
        self._idle.clear()
        return generation

    def release(self, generation: Generation) -> None:
        """The handler is done with it. A request that has not finished is aborted and its blocks are freed."""
        self.engines[generation.engine].abort(generation.sequence)
        del self._generations[generation.sequence]
        if not self._generations:
            self._idle.set()

    def abort(self) -> None:
        """Ends all that is in flight with what it has."""
        self._end(Aborted())

    def die(self) -> None:
        """There is no engine from now on: whatever waits for it is told."""
        self.state = "dead"
        self._end(EngineDead())
        self._gone.set()

    async def wait_idle(self, timeout_s: float) -> bool:
        """True once no request is in flight, False if `timeout_s` passes before."""
        if self._idle.is_set():
            return True
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Drives all engines until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(len(self.engines)):
                tasks.create_task(self._drive(index))

    def check(self) -> None:
        """Raises Busy, which is counted, where a limit allows no further request."""
        unfinished = sum(engine.unfinished for engine in self.engines)
        if self._limits.requests is not None and unfinished + 1 > self._limits.requests:
            self.metrics.rejected("max_num_queued_reqs")
            raise Busy(
                "max_num_queued_reqs",
                "The engine is currently busy and cannot accept new requests. "
                "Please try again later or on a different instance.",
            )
        limit = self._limits.queued_tokens
        if limit is not None and sum(engine.queued_tokens for engine in self.engines) >= limit:
            self.metrics.rejected("max_num_queued_tokens")
            raise Busy(
                "max_num_queued_tokens",
                "The engine has reached its prefill token backlog limit. "
                "Please try again later or on a different instance.",
            )

    def _end(self, how: Aborted | EngineDead) -> None:
        for generation in self._generations.values():
            generation.end = how
            generation.changed.set()

    async def _drive(self, index: int) -> None:
        engine, work, metrics = self.engines[index], self._work[index], self.metrics.engines[index]
        while True:
            await self.faults.until_moving()
            step = engine.schedule(self._clock())
            if step is None:
                work.clear()
                await work.wait()
                continue
            for sequence in step.started:
                metrics.started(sequence, prefix_caching=engine.cache.prefix_caching)
            await self._sleep(step.duration_s * self._time_scale * self.faults.slowdown)
            await self.faults.until_moving()
            for token in engine.commit(step, self._clock()):
                self.tokens_generated += 1
                metrics.token(token)
                generation = self._generations[token.sequence]
                if token.sequence.finished:
                    metrics.finished(token.sequence, generation.output.finish_reason, token.at_s)
                generation.changed.set()
