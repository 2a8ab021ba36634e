"""What a node says to the gateway's canary: busy is not hung."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from images.engines.common.base import CANARY_HEADER
from images.roles.inference.node import canary
from images.roles.inference.node.canary import Message, Receive, Scope, Send
from images.roles.inference.node.guard import KEY_VARIABLE, Guard

KEY = "sk-node-0123456789"


@dataclass
class Engine:
    """Says the metrics, and answers a completion with `status`, or never."""

    metrics: Iterator[str]
    status: int | None = 200
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(f"{scope['method']} {scope['path']}")
        if scope["path"] == "/metrics":
            await _answer(send, 200, next(self.metrics).encode())
        elif self.status is None:
            await asyncio.Event().wait()
        else:
            await _answer(send, self.status, b"{}")


async def _answer(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def statuses(engine: Engine, *, times: int, header: str = CANARY_HEADER, key: str = KEY) -> list[int]:
    """Of so many canaries, one after the other, each as a gateway asks it."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> None:
        guard = Guard(engine, {KEY_VARIABLE: KEY})
        for _ in range(times):
            headers = [(b"authorization", f"Bearer {key}".encode()), (header.encode(), b"1")]
            path = "/v1/completions"
            scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers}
            await guard(scope, receive, send)

    asyncio.run(ask())
    return [m["status"] for m in sent if m["type"] == "http.response.start"]


def lines(*values: object, name: str = "vllm:generation_tokens_total") -> Iterator[str]:
    """Metrics in which that moves from value to value, and stays at the last."""
    text = '# HELP {0} Of it.\nvllm:other 1\n{0}{{engine="0"}} {1}\n'
    return (text.format(name, value) for value in itertools.chain(values, itertools.repeat(values[-1])))


COMPLETION = "POST /v1/completions"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "PATIENCE_S", 0.05)


def test_the_gateway_and_the_node_mean_one_header() -> None:
    assert canary.HEADER == CANARY_HEADER


@pytest.mark.parametrize(
    "name",
    [
        "vllm:generation_tokens_total",
        "vllm:prompt_tokens_total",
        "vllm_prompt_tokens_total",
        "vllm:kv_cache_usage_perc",
    ],
)
def test_an_engine_that_moves_is_not_asked(name: str) -> None:
    """Endpoint: 80 prompts of 29,500 tokens: the canary would wait behind them."""
    engine = Engine(lines(1, 2, 3, name=name), status=None)
    assert statuses(engine, times=2)[1] == 200
    assert engine.asked.count(COMPLETION) == 1  # the first, before which nothing was known


def test_an_engine_that_rests_is_asked_and_its_answer_is_the_nodes() -> None:
    engine = Engine(lines(1), status=200)
    assert statuses(engine, times=3) == [200, 200, 200]
    assert engine.asked.count(COMPLETION) == 3


@pytest.mark.parametrize("status", [503, 429, 404, 500])
def test_what_a_resting_engine_refuses_is_passed_on(status: int) -> None:
    assert statuses(Engine(lines(1), status=status), times=1) == [status]


def test_an_engine_that_neither_moves_nor_answers_hangs() -> None:
    assert statuses(Engine(lines(1), status=None), times=2) == [504, 504]


def test_an_engine_that_moves_while_its_answer_is_waited_for_works() -> None:
    assert statuses(Engine(lines(1, 2), status=None), times=1) == [200]


def test_what_has_moved_long_ago_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "FRESH_S", -1.0)
    assert statuses(Engine(lines(1, 2), status=None), times=2)[1] == 504


def test_without_the_header_or_the_key_it_is_no_canary() -> None:
    moving = Engine(lines(1, 2, 3))
    assert statuses(moving, times=2, header="x-other") == [200, 200]
    assert moving.asked == [COMPLETION] * 2
    closed = Engine(lines(1))
    assert statuses(closed, times=1, key="wrong") == [401]
    assert closed.asked == []
