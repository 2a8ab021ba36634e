"""Admission, time and faults over the engines, with a clock that only sleeping moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.simulator.engine import EngineCore, Speed
from images.simulator.faults import Fault, Faults
from images.simulator.kvcache import KvCache
from images.simulator.metrics import ServerMetrics
from images.simulator.service import Admission, Busy, EngineService, Generation
from images.simulator.tokens import Output, generate, prompt_from_ids
from tests.unit.images.simulator.process import series

PREFILL, DECODE, SEQUENCE = 1000.0, 200.0, 50.0


class Clock:
    """Time that passes only while something sleeps; what else is ready runs between."""

    def __init__(self) -> None:
        self.now_s = 100.0

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


def service(
    clock: Clock, *, engines: int = 1, seqs: int = 8, limits: Admission | None = None, time_scale: float = 1.0
) -> EngineService:
    built = [
        EngineCore(Speed(PREFILL, DECODE, SEQUENCE), KvCache(1000, 16, prefix_caching=True), seqs, 2048)
        for _ in range(engines)
    ]
    return EngineService(
        built,
        ServerMetrics("m", built),
        Faults(lambda _: None),
        limits=limits or Admission(),
        time_scale=time_scale,
        clock=lambda: clock.now_s,
        sleep=clock.sleep,
    )


def submit(to: EngineService, *, prompt: int = 100, output: int = 11, family: int = 0) -> Generation:
    ids = prompt_from_ids([family] * prompt, 16)
    return to.submit(ids, generate(ids, limit=output, mean_tokens=1, ignore_eos=True))


async def finish(generation: Generation) -> Output:
    seen = 0
    while seen < generation.output.tokens:
        seen = await generation.progress(seen)
    return generation.output


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main(), 20)

    asyncio.run(bounded())


def metric(of: EngineService, name: str, **labels: str) -> float:
    found = series(of.metrics.exposition()[0].decode(), name)
    return sum(value for have, value in found if labels.items() <= have.items())


@pytest.mark.parametrize("time_scale", [1.0, 0.1])
def test_a_request_takes_the_engines_time_times_the_scale_and_is_measured_so(time_scale: float) -> None:
    async def main() -> None:
        clock = Clock()
        served = service(clock, time_scale=time_scale)
        async with asyncio.TaskGroup() as tasks:
            engines = tasks.create_task(served.run())
            generation = submit(served)
            await finish(generation)
            served.release(generation)
            engines.cancel()
        expected_s = time_scale * (100 / PREFILL + 10 / SEQUENCE)
        assert clock.now_s - 100 == pytest.approx(expected_s)
        assert metric(served, "vllm:e2e_request_latency_seconds_sum") == pytest.approx(expected_s)
        assert metric(served, "vllm:time_to_first_token_seconds_sum") == pytest.approx(time_scale * 100 / PREFILL)
        assert metric(served, "vllm:inter_token_latency_seconds_sum") == pytest.approx(time_scale * 10 / SEQUENCE)
        assert metric(served, "vllm:inter_token_latency_seconds_count") == 10
        assert metric(served, "vllm:prompt_tokens_total") == 100
        assert metric(served, "vllm:generation_tokens_total") == 11
        assert metric(served, "vllm:request_success_total", finished_reason="length") == 1

    run(main)


def test_time_in_the_queue_is_measured() -> None:
    async def main() -> None:
        served = service(Clock(), seqs=1)
        async with asyncio.TaskGroup() as tasks:
            engines = tasks.create_task(served.run())
            first, second = submit(served), submit(served, family=1)
            await asyncio.gather(finish(first), finish(second))
            engines.cancel()
        # The second starts when the first, alone in the batch, has ended.
        assert metric(served, "vllm:request_queue_time_seconds_sum") == pytest.approx(100 / PREFILL + 10 / SEQUENCE)
        assert metric(served, "vllm:request_queue_time_seconds_count") == 2

    run(main)


def test_prefix_cache_counters_are_in_tokens() -> None:
    async def main() -> None:
        served = service(Clock())
        async with asyncio.TaskGroup() as tasks:
            engines = tasks.create_task(served.run())
            for _ in range(2):
                await finish(submit(served, prompt=100))
            engines.cancel()
        assert metric(served, "vllm:prefix_cache_queries_total") == 200
        assert metric(served, "vllm:prefix_cache_hits_total") == 100 // 16 * 16

    run(main)


@settings(deadline=None)
@given(limit=st.integers(0, 6), arrivals=st.integers(0, 12), seqs=st.integers(1, 4))
def test_no_more_requests_are_in_flight_than_admitted_and_the_rest_is_counted(
    limit: int, arrivals: int, seqs: int
) -> None:
    async def main() -> None:
        served = service(Clock(), seqs=seqs, limits=Admission(requests=limit))
        refused = 0
        for _ in range(arrivals):
            try:
                submit(served)
            except Busy:
                refused += 1
        assert refused == max(0, arrivals - limit)
        assert served.in_flight == min(arrivals, limit)
        assert metric(served, "vllm:admission_rejections_total", reason="max_num_queued_reqs") == refused
        assert metric(served, "vllm:num_requests_waiting") == served.in_flight

    run(main)


def test_a_place_is_free_again_when_a_request_ends_or_its_client_leaves() -> None:
    async def main() -> None:
        served = service(Clock(), limits=Admission(requests=1))
        left = submit(served)
        with pytest.raises(Busy, match="busy and cannot accept"):
            submit(served)
        served.release(left)
        async with asyncio.TaskGroup() as tasks:
            engines = tasks.create_task(served.run())
            await finish(submit(served))
            await finish(submit(served))
            engines.cancel()
        assert metric(served, "vllm:request_success_total") == 2, "the one that left counts nowhere"

    run(main)


def test_a_backlog_of_prompt_tokens_refuses_too() -> None:
    async def main() -> None:
        served = service(Clock(), limits=Admission(queued_tokens=100))
        submit(served, prompt=99)
        submit(served, prompt=500)
        with pytest.raises(Busy, match="prefill token backlog"):
            submit(served, prompt=1)
        assert metric(served, "vllm:admission_rejections_total", reason="max_num_queued_tokens") == 1

    run(main)


def test_requests_go_to_the_engine_with_the_fewest() -> None:
    async def main() -> None:
        served = service(Clock(), engines=2)
        generations = [submit(served) for _ in range(4)]
        assert [generation.engine for generation in generations] == [0, 1, 0, 1]
        served.release(generations[1])
        assert submit(served).engine == 1
        assert metric(served, "vllm:num_requests_waiting", engine="0") == 2

    run(main)


def test_slow_multiplies_the_time_of_a_step() -> None:
    async def main() -> None:
        clock = Clock()
        served = service(clock)
        served.faults.set(Fault("slow", factor=7))
        async with asyncio.TaskGroup() as tasks:
            engines = tasks.create_task(served.run())
            await finish(submit(served))
            engines.cancel()
        assert clock.now_s - 100 == pytest.approx(7 * (100 / PREFILL + 10 / SEQUENCE))

    run(main)


def test_hang_takes_requests_and_moves_no_counter_until_it_is_cleared() -> None:
    async def main() -> None:
        served = service(Clock())
        served.faults.set(Fault("hang"))
        async with asyncio.TaskGroup() as tasks:
            engines = tasks.create_task(served.run())
            waiting = asyncio.create_task(finish(submit(served)))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not waiting.done()
            assert metric(served, "vllm:num_requests_waiting") + metric(served, "vllm:num_requests_running") == 1
            assert metric(served, "vllm:prompt_tokens_total") == metric(served, "vllm:generation_tokens_total") == 0
            served.faults.set(Fault())
            await waiting
            engines.cancel()

    run(main)


def test_waiting_for_idle_ends_with_the_last_request_or_the_deadline() -> None:
    async def main() -> None:
        served = service(Clock())
        assert await served.wait_idle(0)
        generation = submit(served)
        assert not await served.wait_idle(0)
        idle = asyncio.create_task(served.wait_idle(20))
        await asyncio.sleep(0)
        served.release(generation)
        assert await idle

    run(main)
