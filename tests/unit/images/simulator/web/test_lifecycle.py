"""Starting, stopping and failing of a real process."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.unit.images.simulator.process import BEARER, IMAGES, KEY, Server, events

Start = Callable[..., Server]
SLOW = ("--sim-sequence-tokens-per-s", "20")
STREAM: dict[str, Any] = {"max_tokens": 30, "ignore_eos": True}
ENDLESS: dict[str, Any] = {"max_tokens": 10_000, "ignore_eos": True}


def test_while_it_starts_connections_are_refused_and_sigterm_ends_it(start: Start) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
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


def test_within_the_shutdown_timeout_a_stream_ends_in_full_and_nothing_new_is_taken(start: Start) -> None:
    server = start("--shutdown-timeout", "30", *SLOW)
    with server.stream(**STREAM) as response:
        received = events(response)
        first = next(received)
        server.terminate()
        eventually(lambda: "Shutting down: 1 requests in flight" in server.log, "the shutdown is logged")
        eventually(lambda: _refuses_connections(server), "connections are refused")
        rest = list(received)
    texts = [json.loads(item)["choices"][0]["text"] for item in [first, *rest[:-1]]]
    assert (rest[-1], len("".join(texts))) == ("[DONE]", 30 * 4)
    assert server.exit_code() == 0


def test_an_answer_that_is_not_streamed_is_finished_too(start: Start) -> None:
    server = start("--shutdown-timeout", "30", *SLOW)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(lambda: server.complete(**STREAM))
        eventually(lambda: server.metric("vllm:num_requests_running") == 1, "one request runs")
        server.terminate()
        assert len(answer.result().json["choices"][0]["text"]) == 30 * 4
    assert server.exit_code() == 0


@pytest.mark.parametrize("arguments", [(), ("--shutdown-timeout", "1")])
def test_what_is_left_at_the_deadline_is_cut(start: Start, arguments: tuple[str, ...]) -> None:
    server = start(*arguments, *SLOW)
    with server.stream(**ENDLESS) as response:
        received = events(response)
        next(received)
        server.terminate()
        assert "[DONE]" not in list(received)
    assert server.exit_code() == 0
    assert "Aborting 1 requests in flight" in server.log


def test_idle_connections_are_closed_when_it_drains(start: Start) -> None:
    server = start("--shutdown-timeout", "30", *SLOW)
    idle = server.connect()
    idle.request("GET", "/health")
    assert idle.getresponse().read() == b""
    with server.stream(**STREAM) as response:
        next(events(response))
        server.terminate()
        idle.sock.settimeout(5)
        assert idle.sock.recv(1) == b""
        idle.close()
        assert list(events(response))[-1] == "[DONE]"
    assert server.exit_code() == 0


def test_asked_to_it_drains_as_vllm_does_listening_and_answering_abort(start: Start) -> None:
    server = start("--shutdown-timeout", "30", "--sim-listen-while-draining", *SLOW)
    with server.stream(**STREAM) as response:
        next(events(response))
        server.terminate()
        eventually(lambda: "Shutting down" in server.log, "the shutdown is logged")
        assert server.get("/health").status == 200
        choice = server.chat().json["choices"][0]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("abort", "")
        with server.stream() as refused:
            data = list(events(refused))
        assert json.loads(data[-2])["choices"][0]["finish_reason"] == "abort"
        assert list(events(response))[-1] == "[DONE]"
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


def _refuses_connections(server: Server) -> bool:
    try:
        server.connect().connect()
    except ConnectionRefusedError:
        return True
    return False
