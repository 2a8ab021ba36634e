"""A closed loop of completion requests against one vLLM server, and the tokens per second that it served.

The method, after `vllm bench serve --dataset-name random --ignore-eos --max-concurrency N`: N workers each send their
next request when the last one is answered; each prompt is random token ids that no request and no earlier run had, so
that no prefix cache helps; the server is told to generate exactly the asked number of tokens. Unlike there, nothing is
counted while the load builds up or ebbs away: the window begins after the warm-up and ends with the duration, and a
request that straddles an edge of it counts by its share of time inside. Tokens are the server's own count (`usage`).
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_S = 900.0
"""For one request: a busy node answers a long one late."""
FIRST_TOKEN_ID, LAST_TOKEN_ID = 1_000, 30_000
"""Ordinary tokens in every vocabulary from Llama 2's 32,000 on; special ones lie outside."""
MAX_FAILURES = 20
"""In a row without an answer between them; then the run is given up."""
SIMULATOR = "simulator"
"""Part of what the simulator calls its version."""


class BenchError(Exception):
    """The server cannot be measured. The message says why, and holds no key."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the server."""

    model: str
    input_tokens: int
    output_tokens: int
    concurrency: int
    warm_up_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One answered request; times in seconds of one clock."""

    begin: float
    end: float
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What the server did within the window."""

    input_tokens_per_s: float
    output_tokens_per_s: float
    requests: int
    """Answered, wholly or partly within the window."""
    failed: int
    """In the whole run."""
    mean_latency_s: float
    version: str
    """Of the server, as it tells it."""

    @property
    def tokens_per_s(self) -> float:
        """Input and output, as the catalogue counts."""
        return self.input_tokens_per_s + self.output_tokens_per_s

    def milliseconds_per_output_token(self, load: Load) -> float:
        """The longest that a stream can have had between two tokens on average: all of a request's time."""
        return 1000 * self.mean_latency_s / load.output_tokens

    @property
    def simulated(self) -> bool:
        return SIMULATOR in self.version


def measure(url: str, load: Load, key: str = "", ca_file: str | None = None) -> Measured:
    """Loads the server at `url` (without /v1) and counts. Raises BenchError."""
    return asyncio.run(_measure(url.rstrip("/"), load, key, ca_file))


def rates(samples: Sequence[Sample], begin: float, end: float) -> tuple[float, float, int]:
    """Input and output tokens per second between two times, and how many requests were answered or under way then."""
    read = written = 0.0
    inside = 0
    for sample in samples:
        overlap = min(sample.end, end) - max(sample.begin, begin)
        if overlap <= 0:
            continue
        share = overlap / (sample.end - sample.begin)
        read += share * sample.input_tokens
        written += share * sample.output_tokens
        inside += 1
    return read / (end - begin), written / (end - begin), inside


async def _measure(url: str, load: Load, key: str, ca_file: str | None) -> Measured:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx.Limits(max_connections=load.concurrency)
    verify = ssl.create_default_context(cafile=ca_file)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, timeout=TIMEOUT_S, verify=verify, trust_env=False
    ) as client:
        run = _Workers(client, load)
        version = await run.version()
        begin = time.perf_counter() + load.warm_up_s
        end = begin + load.duration_s
        try:
            await asyncio.gather(*(run.worker(end) for _ in range(load.concurrency)))
        except httpx.HTTPError as e:
            raise BenchError(f"{url} cannot be asked: {type(e).__name__}: {e}") from None
    read, written, inside = rates(run.samples, begin, end)
    if not inside:
        raise BenchError(f"no request was under way after {load.warm_up_s:g} s of warm-up: a longer duration is needed")
    latency = sum(sample.end - sample.begin for sample in run.samples) / len(run.samples)
    return Measured(read, written, inside, run.failed, latency, version)


class _Workers:
    """What the workers of one run share."""

    def __init__(self, client: httpx.AsyncClient, load: Load, clock: Callable[[], float] = time.perf_counter) -> None:
        self.samples: list[Sample] = []
        self.failed = 0
        self._client = client
        self._load = load
        self._clock = clock
        self._in_a_row = 0
        self._chance = random.Random()

    async def version(self) -> str:
        """What the server says that it is. Raises BenchError where it is no vLLM server, or has not the model."""
        try:
            told = await self._client.get("/version")
            models = await self._client.get("/v1/models")
        except httpx.HTTPError as e:
            raise BenchError(f"{self._client.base_url} cannot be reached: {e}") from None
        if models.status_code == 401:
            raise BenchError("the server refuses the key: name the variable that holds it by --key-env")
        try:
            version, served = str(told.json()["version"]), [model["id"] for model in models.json()["data"]]
        except (ValueError, LookupError, TypeError):
            raise BenchError(f"{self._client.base_url} does not answer /version and /v1/models as vLLM does") from None
        if self._load.model not in served:
            raise BenchError(f"the server has no model {self._load.model!r}: it serves {', '.join(served)}")
        return version

    async def worker(self, end: float) -> None:
        """Sends one request after the other until the window is over; those under way then are answered."""
        while self._clock() < end:
            begin = self._clock()
            answer = await self._client.post("/v1/completions", json=self._request())
            if answer.status_code != 200:
                self._failure(answer)
                continue
            try:
                usage = answer.json()["usage"]
                counted = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
            except (ValueError, LookupError, TypeError):
                raise BenchError("the server's answer does not tell its usage, as vLLM's does") from None
            self._in_a_row = 0
            self.samples.append(Sample(begin, self._clock(), *counted))

    def _request(self) -> dict[str, Any]:
        load = self._load
        return {
            "model": load.model,
            "prompt": [self._chance.randint(FIRST_TOKEN_ID, LAST_TOKEN_ID) for _ in range(load.input_tokens)],
            "max_tokens": load.output_tokens,
            "min_tokens": load.output_tokens,
            "ignore_eos": True,
            "temperature": 0,
        }

    def _failure(self, answer: httpx.Response) -> None:
        self.failed += 1
        self._in_a_row += 1
        if self._in_a_row >= MAX_FAILURES or answer.status_code in (400, 401, 403, 404):
            raise BenchError(f"the server answers {answer.status_code}: {answer.text[:300]}")
