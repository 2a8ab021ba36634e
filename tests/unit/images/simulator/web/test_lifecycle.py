"""Starting, stopping and failing of a real process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.unit.images.simulator.process import BEARER, IMAGES, KEY, Server, events

Start = Callable[..., Server]
SLOW = ("--sim-sequence-tokens-per-s", "20")
STREAM: dict[str, Any] = {"max_tokens": 100, "ignore_eos": True}
DEAD = {
    "message": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    "type": "InternalServerError",
    "param": None,
    "code": 500,
}
ENDLESS: dict[str, Any] = {"max_tokens": 10_000, "ignore_eos": True}
IDS = [5] * 20
NO_TOKENIZER = "cannot schedule new futures after shutdown"
KEPT = {"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "3600"}
"""An idle connection is closed by nothing but the end, however long a computer stands still."""
TEARDOWN_S = "10"
"""Long enough for what a test does meanwhile on a computer that stands still for seconds."""


def test_while_it_starts_connections_are_refused_and_sigterm_ends_it(start: Start) -> None:
    port = free_port()  # of those that the kernel gives to nobody else meanwhile
    server = start("--sim-startup-s", "3600", "--port", str(port))
    eventually(lambda: "vLLM simulator" in server.log, "the start is logged")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    server.terminate()
    assert server.exit_code() == 0


def test_a_port_in_use_ends_the_start_with_1_and_a_plain_message(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = start("--port", str(taken.getsockname()[1]))
        assert server.exit_code() == 1
    assert "Cannot start" in server.log
    assert "in use" in server.log
    assert "Traceback" not in server.log


def test_within_the_shutdown_timeout_a_stream_ends_in_full(start: Start) -> None:
    server = start("--shutdown-timeout", "30", "--sim-teardown-s", "0", *SLOW)
    with server.stream(**STREAM) as response:
        received = events(response)
        first = next(received)
        server.terminate()
        eventually(lambda: "Shutting down: 1 requests in flight" in server.log, "the shutdown is logged")
        rest = list(received)
    texts = [json.loads(item)["choices"][0]["text"] for item in [first, *rest[:-1]]]
    assert (rest[-1], len("".join(texts))) == ("[DONE]", STREAM["max_tokens"] * 4)
    assert server.exit_code() == 0


def test_an_answer_that_is_not_streamed_is_finished_too(start: Start) -> None:
    server = start("--shutdown-timeout", "30", "--sim-teardown-s", "0", *SLOW)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(lambda: server.complete(**STREAM))
        eventually(lambda: server.metric("vllm:num_requests_running") == 1, "one request runs")
        server.terminate()
        assert len(answer.result().json["choices"][0]["text"]) == STREAM["max_tokens"] * 4
    assert server.exit_code() == 0


def test_without_a_shutdown_timeout_what_is_in_flight_ends_at_once_with_what_it_has(start: Start) -> None:
    server = start(*SLOW)
    with ThreadPoolExecutor() as pool, server.stream(**ENDLESS) as response:
        received = events(response)
        next(received)
        whole = pool.submit(lambda: server.complete(**ENDLESS))
        eventually(lambda: server.metric("vllm:num_requests_running") == 2, "both run")
        server.terminate()
        rest = list(received)
        answer = whole.result()
    assert (json.loads(rest[-2])["choices"][0]["finish_reason"], rest[-1]) == ("abort", "[DONE]")
    assert (answer.status, answer.json["choices"][0]["finish_reason"]) == (200, "abort")
    assert server.exit_code() == 0


def test_what_is_left_when_the_budget_is_spent_fails(start: Start) -> None:
    server = start("--shutdown-timeout", "1", *SLOW)
    with ThreadPoolExecutor() as pool, server.stream(**ENDLESS) as response:
        received = events(response)
        next(received)
        whole = pool.submit(lambda: server.complete(**ENDLESS))
        eventually(lambda: server.metric("vllm:num_requests_running") == 2, "both run")
        server.terminate()
        rest = list(received)
        answer = whole.result()
    assert (json.loads(rest[-2])["error"]["code"], rest[-1]) == (500, "[DONE]")
    assert (answer.status, answer.json["error"]) == (500, DEAD)
    assert server.exit_code() == 0
    assert "Killing the engine with 2 requests in flight" in server.log


def test_idle_connections_are_closed_at_the_end(start: Start) -> None:
    server = start("--shutdown-timeout", "30", "--sim-teardown-s", "0", environment=KEPT)
    idle = server.connect()
    idle.request("GET", "/health")
    assert idle.getresponse().read() == b""
    server.terminate()
    assert idle.sock.recv(1) == b""
    idle.close()
    assert server.exit_code() == 0


@pytest.mark.parametrize("accepted", [(), ("--sim-listen-while-draining",)])
def test_while_requests_in_flight_end_it_listens_and_aborts_new_ones(start: Start, accepted: tuple[str, ...]) -> None:
    """A whole answer is empty; of a stream there is only its end. Nothing says that the server is about to go."""
    server = start("--shutdown-timeout", "30", "--sim-teardown-s", "0", *accepted, *SLOW)
    with server.stream(**STREAM) as response:
        next(events(response))
        server.terminate()
        eventually(lambda: "Shutting down" in server.log, "the shutdown is logged")
        assert server.get("/health").status == 200
        answer = server.complete(prompt=IDS)
        choice = answer.json["choices"][0]
        assert (answer.status, choice["finish_reason"], choice["text"]) == (200, "abort", "")
        assert answer.json["usage"]["completion_tokens"] == 0
        with server.stream(prompt=IDS) as refused:
            assert (refused.status, list(events(refused))) == (200, ["[DONE]"])
        assert list(events(response))[-1] == "[DONE]"
    assert server.exit_code() == 0


def test_told_to_stop_it_reads_no_text_any_more(start: Start) -> None:
    """As chats are, and streams: 500 before anything has begun, so that a gateway can send it elsewhere."""
    server = start("--shutdown-timeout", "30", "--sim-teardown-s", "0", *SLOW)
    with server.stream(**STREAM) as response:
        next(events(response))
        server.terminate()
        eventually(lambda: "Shutting down" in server.log, "the shutdown is logged")
        for answer in (server.chat(), server.complete(stream=True), server.complete(prompt=["a", "b"])):
            assert (answer.status, answer.json["error"]["message"]) == (500, NO_TOKENIZER)
        assert list(events(response))[-1] == "[DONE]"
    assert server.exit_code() == 0


def test_while_the_engine_is_torn_down_requests_wait_and_fail_at_its_end(start: Start) -> None:
    server = start("--shutdown-timeout", "30", "--sim-teardown-s", TEARDOWN_S, *SLOW)
    with server.stream(**STREAM) as response:
        next(events(response))
        server.terminate()
        assert list(events(response))[-1] == "[DONE]"
    assert server.get("/health").status == 200
    with ThreadPoolExecutor() as pool, server.stream(prompt=IDS) as refused:
        whole = pool.submit(lambda: server.complete(prompt=IDS))
        data = list(events(refused))
    assert (refused.status, json.loads(data[0])["error"], data[1:]) == (200, DEAD, ["[DONE]"])
    assert (whole.result().status, whole.result().json["error"]) == (500, DEAD)
    assert server.exit_code() == 0


def test_the_teardown_has_what_is_left_of_the_budget(start: Start) -> None:
    server = start("--shutdown-timeout", "1", "--sim-teardown-s", "3600")
    server.get("/health")
    server.terminate()
    assert server.exit_code() == 0


def test_told_to_stop_with_nothing_in_flight_a_request_hangs_and_holds_the_process(start: Start) -> None:
    server = start("--shutdown-timeout", "30", "--sim-teardown-s", TEARDOWN_S)
    server.get("/health")
    server.terminate()
    eventually(lambda: "Shutting down: 0 requests" in server.log, "the shutdown is logged")
    with server.stream(prompt=IDS) as hung:
        assert hung.status == 200
        eventually(lambda: _refuses_connections(server), "it no longer listens")
        assert server.process.poll() is None
    assert server.exit_code() == 0


def test_a_killed_engine_fails_its_requests_and_ends_the_server_with_0(start: Start) -> None:
    server = start("--sim-faults", *SLOW)
    with ThreadPoolExecutor() as pool, server.stream(**ENDLESS) as response:
        received = events(response)
        next(received)
        whole = pool.submit(lambda: server.complete(**ENDLESS))
        eventually(lambda: server.metric("vllm:num_requests_running") == 2, "both run")
        server.request("POST", "/sim/faults", {"fault": "kill"})
        assert json.loads(list(received)[-2])["error"] == DEAD
        assert (whole.result().status, whole.result().json["error"]) == (500, DEAD)
    eventually(lambda: _refuses_connections(server), "it no longer listens")
    assert server.exit_code() == 0


def test_a_worker_that_outlives_its_engine_keeps_the_next_one_from_starting(start: Start, tmp_path: Path) -> None:
    memory = ("--sim-gpu-memory", str(tmp_path / "gpu"))
    first = start("--sim-faults", *memory)
    assert first.get("/health").status == 200
    assert start(*memory).exit_code() == 1
    first.request("POST", "/sim/faults", {"fault": "orphan", "seconds": 3600})
    assert first.exit_code() == 0
    worker = re.search(r"A worker outlives the engine: pid=(\d+)", first.log)
    assert worker
    third = start(*memory)
    assert third.exit_code() == 1
    assert "less than desired GPU memory utilization (0.92, 72.91 GiB)" in third.log
    os.kill(int(worker[1]), signal.SIGKILL)
    eventually(lambda: not _runs(int(worker[1])), "the worker is gone")
    assert start(*memory).get("/health").status == 200


def test_a_server_that_lingers_answers_503_on_what_was_left_open_and_lives_as_long(start: Start) -> None:
    server = start("--sim-faults", "--shutdown-timeout", "1", "--sim-teardown-s", "0", environment=KEPT)
    server.request("POST", "/sim/faults", {"fault": "linger"})
    kept = server.connect()
    kept.request("GET", "/health")
    assert kept.getresponse().read() == b""
    server.terminate()
    eventually(lambda: _refuses_connections(server), "it no longer listens")
    kept.request("GET", "/health")
    assert kept.getresponse().status == 503
    assert server.process.poll() is None
    kept.close()
    assert server.exit_code() == 0


def test_faults_need_the_flag_and_the_key(start: Start) -> None:
    without, guarded = start("--api-key", KEY), start("--api-key", KEY, "--sim-faults")
    assert without.request("POST", "/sim/faults", {"fault": "crash"}, BEARER).status == 404
    assert guarded.request("POST", "/sim/faults", {"fault": "crash"}).status == 401
    assert guarded.request("GET", "/sim/faults", headers=BEARER).json == {"fault": "none"}


def test_a_fault_that_is_none_is_400(start: Start) -> None:
    server = start("--sim-faults")
    answer = server.request("POST", "/sim/faults", {"fault": "burn"})
    assert (answer.status, answer.json["error"]["code"]) == (400, 400)


def test_crash_cuts_everything_at_once_with_its_code(start: Start) -> None:
    server = start("--sim-faults", "--shutdown-timeout", "30", *SLOW)
    with server.stream(**ENDLESS) as response:
        next(events(response))
        with pytest.raises(ConnectionError):
            server.request("POST", "/sim/faults", {"fault": "crash", "exitCode": 7})
        assert "[DONE]" not in list(events(response))
    assert server.exit_code() == 7


def test_hang_stays_healthy_and_stops_every_token_until_cleared(start: Start) -> None:
    server = start("--sim-faults", *SLOW)
    with server.stream(**STREAM) as response:
        received = events(response)
        next(received)
        assert server.request("POST", "/sim/faults", {"fault": "hang"}).json == {"fault": "hang"}
        stuck = server.metric("vllm:generation_tokens_total")
        time.sleep(
            0.2
        )  # four tokens' time; that nothing comes for ever is shown with a clock of its own in test_service
        assert server.metric("vllm:generation_tokens_total") == stuck
        assert server.metric("vllm:num_requests_running") == 1
        assert server.get("/health").status == 200
        assert server.request("DELETE", "/sim/faults").json == {"fault": "none"}
        assert list(received)[-1] == "[DONE]"


def test_error500_refuses_completions_and_nothing_else(start: Start) -> None:
    server = start("--sim-faults")
    server.request("POST", "/sim/faults", {"fault": "error500"})
    for answer in (server.chat(), server.complete(stream=True)):
        assert (answer.status, answer.json["error"]["type"]) == (500, "InternalServerError")
    assert (server.get("/health").status, server.get("/v1/models").status) == (200, 200)
    server.request("POST", "/sim/faults", {"fault": "none"})
    assert server.complete(max_tokens=1).status == 200


ALONE = """
import sys

class Alone:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("cost_guard", "images", "providers", "scripts", "stacks", "strict"):
            raise ImportError(f"{name} does not travel")

sys.meta_path.insert(0, Alone())
"""


def test_it_travels_alone(start: Start, tmp_path: Path) -> None:
    """Only its folder is copied to a machine, which has nothing else of the project: there it serves."""
    shutil.copytree(IMAGES / "simulator", tmp_path / "simulator", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sitecustomize.py").write_text(ALONE)
    server = start(environment={"PYTHONPATH": str(tmp_path)})
    assert server.complete(max_tokens=1).status == 200
    assert server.get("/metrics").status == 200


def _runs(pid: int) -> bool:
    """A zombie whose parent has not looked yet holds nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def _refuses_connections(server: Server) -> bool:
    try:
        server.connect().connect()
    except ConnectionRefusedError:
        return True
    return False
