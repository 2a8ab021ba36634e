"""Admission in a burst, and the end of a server: what a gateway and an install must reckon with."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.eventually import eventually
from tests.unit.images.simulator.process import BEARER, Answer, Server

Start = Callable[..., Server]
LONG: dict[str, Any] = {"max_tokens": 600, "ignore_eos": True}
IDS = [5] * 20
NO_TOKENIZER = "cannot schedule new futures after shutdown"
ENDLESS: dict[str, Any] = {"prompt": IDS, "max_tokens": 2000, "ignore_eos": True}


def completion(server: Server, **fields: Any) -> Answer:
    return server.complete(BEARER, **fields)


def data_of(answer: Answer) -> list[str]:
    return [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: ")]


def test_in_a_burst_a_stream_may_be_refused_within_its_200(served: Server) -> None:
    """Whole answers get 503. A stream gets it too, or a 200 with the refusal in it, which a proxy takes for success."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: completion(served, stream=i % 2 == 0, **LONG), range(16)))
    whole, streams = answers[1::2], answers[::2]
    assert {answer.status for answer in whole} <= {200, 503}
    within = [data_of(answer) for answer in streams if answer.status == 200 and b'"error"' in answer.body]
    refused = [answer for answer in answers if answer.status == 503]
    assert len(within) + len(refused) >= 10, "6 are admitted, until one ends"
    for data in within:
        assert (json.loads(data[0])["error"]["code"], data[1:]) == (503, ["[DONE]"])


def test_a_full_queue_refuses_a_stream_before_its_200(served: Server) -> None:
    with ThreadPoolExecutor(6) as pool:
        filling = [pool.submit(completion, served, **LONG) for _ in range(6)]
        eventually(lambda: _in_flight(served) == 6, "the queue is full")
        assert completion(served, stream=True).status == 503
        assert {future.result().status for future in filling} == {200}


def test_a_drain_finishes_what_is_in_flight_and_aborts_what_comes(start: Start) -> None:
    server = start("--shutdown-timeout", "60")
    with ThreadPoolExecutor(2) as pool:
        flying = [pool.submit(completion, server, stream=stream, **ENDLESS) for stream in (True, False)]
        eventually(lambda: _in_flight(server) == 2, "both are in flight")
        server.terminate()
        eventually(lambda: _aborts(server), "new requests are aborted")
        assert server.get("/health").status == 200
        assert data_of(completion(server, prompt=IDS, stream=True)) == ["[DONE]"]
        for stream in (True, False):
            text = completion(server, stream=stream)
            assert (text.status, text.json["error"]["message"]) == (500, NO_TOKENIZER)
        told, whole = (future.result() for future in flying)
    assert data_of(told)[-1] == "[DONE]"
    assert whole.json["choices"][0]["finish_reason"] == "length"
    assert server.get("/health").status == 200, "the engine is torn down, and the server listens"
    assert server.exit_code() == 0


def test_without_a_shutdown_timeout_what_is_in_flight_ends_with_abort(steady: None, start: Start) -> None:
    server = start()
    with ThreadPoolExecutor(2) as pool:
        flying = [pool.submit(completion, server, stream=stream, **ENDLESS) for stream in (True, False)]
        eventually(lambda: _in_flight(server) == 2, "both are in flight")
        server.terminate()
        stream, whole = (future.result() for future in flying)
    *_, last, done = data_of(stream)
    assert (json.loads(last)["choices"][0]["finish_reason"], done) == ("abort", "[DONE]")
    assert whole.json["choices"][0]["finish_reason"] == "abort"
    assert server.exit_code() == 0


def test_when_the_budget_is_spent_what_is_in_flight_fails(steady: None, start: Start) -> None:
    server = start("--shutdown-timeout", "1")
    with ThreadPoolExecutor(2) as pool:
        flying = [pool.submit(completion, server, stream=stream, **ENDLESS) for stream in (True, False)]
        eventually(lambda: _in_flight(server) == 2, "both are in flight")
        server.terminate()
        stream, whole = (future.result() for future in flying)
    assert ('"error"' in data_of(stream)[-2], data_of(stream)[-1]) == (True, "[DONE]")
    assert whole.status == 500
    assert server.exit_code() == 0


def _in_flight(server: Server) -> float:
    return server.metric("vllm:num_requests_running") + server.metric("vllm:num_requests_waiting")


def _aborts(server: Server) -> bool:
    answer = completion(server, prompt=IDS, max_tokens=1)
    return bool(answer.status == 200 and answer.json["choices"][0]["finish_reason"] == "abort")
