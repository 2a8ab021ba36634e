"""The self-hosted path: balance, failure of a node, hung and busy nodes, certificates, reloads, saturation."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.gateway.conftest import FAST_NODE, IMPATIENT, Gateway, GatewayMaker, bundle, settings
from tests.integration.gateway.harness import (
    ALIAS,
    KEY,
    MANAGED,
    SECRETS,
    SERVED,
    Answer,
    ask,
    chat,
    connect,
    wait_for,
)
from tests.support.credentials import Made

SLOW_NODE = ("--sim-sequence-tokens-per-s", "20")
"""A token every 50 ms."""


def test_self_hosted_requests_are_spread_over_the_nodes_and_never_pass_litellm(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(fallback=MANAGED, nodes={"a": SLOW_NODE, "b": SLOW_NODE})
    # All at once, and none is over before the last has come: who is quicker does not count.
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: gateway.ask(chat(max_tokens=100)), range(64)))
    served = Counter(a.served_by for a in answers)
    assert {a.status for a in answers} == {200}
    assert set(served) == {"a", "b"}
    assert min(served.values()) >= 16
    assert gateway.metric("haproxy_backend_sessions_total", proxy="litellm") == 0


def test_an_alias_goes_to_the_nodes_too(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(fallback=MANAGED)
    answer = gateway.ask(chat(ALIAS, max_tokens=4))
    assert (answer.status, answer.served_by in ("a", "b")) == (200, True)
    assert gateway.metric("haproxy_backend_sessions_total", proxy="litellm") == 0


def test_killing_a_node_under_load_loses_no_request_that_had_not_begun_to_stream(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": SLOW_NODE, "b": SLOW_NODE})
    killed = threading.Event()

    def client(number: int) -> list[Answer]:
        """Half of the clients stream; each asks until the node has been dead for some requests."""
        answers = []
        for turn in range(8):
            if number == 0 and turn == 3:
                gateway.nodes["a"].kill()
                killed.set()
            answers.append(gateway.ask(chat(content=f"{number} {turn}", max_tokens=8, stream=number % 2 == 0)))
        return answers

    with ThreadPoolExecutor(24) as pool:
        answers = [a for some in pool.map(client, range(24)) for a in some]
    assert killed.is_set()
    assert len(answers) == 24 * 8
    broken = [a for a in answers if a.status != 200 or not a.whole]
    # A stream that had begun on the dead node ends early; nothing else may fail.
    assert all(a.status == 200 and a.served_by == "a" and "event-stream" in a.headers["content-type"] for a in broken)
    assert len(broken) <= 12
    whole = [a for a in answers if a.whole and a.status == 200]
    assert {a.served_by for a in whole} == {"a", "b"}
    gateway.wait_down("a")


def test_a_stream_is_replayed_by_nobody_once_it_has_begun(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": SLOW_NODE, "b": SLOW_NODE})
    connection = connect(gateway.port)
    connection.request("POST", "/v1/chat/completions", _json(chat(max_tokens=200, stream=True)), _headers())
    response = connection.getresponse()
    first = response.headers["x-served-by"]
    assert response.readline().startswith(b"data: ")
    gateway.nodes[first].kill()
    try:
        rest = response.read()
    except http.client.IncompleteRead as e:
        rest = e.partial
    except OSError:
        rest = b""
    assert b"[DONE]" not in rest
    other = {"a": "b", "b": "a"}[first]
    assert gateway.metric("haproxy_server_sessions_total", proxy="vllm", server=other) == 0
    connection.close()


def test_chunks_of_a_stream_arrive_as_they_are_made(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": SLOW_NODE})
    connection = connect(gateway.port)
    connection.request("POST", "/v1/chat/completions", _json(chat(max_tokens=60, stream=True)), _headers())
    response = connection.getresponse()
    reads = 0
    while response.read1(65536):
        reads += 1
    connection.close()
    assert reads >= 10


def test_a_hung_node_leaves_rotation_though_its_health_is_200_and_comes_back(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(**IMPATIENT)
    gateway.nodes["a"].fault("hang")
    assert gateway.nodes["a"].ask("GET", "/health").status == 200
    gateway.wait_down("a")
    assert {gateway.ask(chat(max_tokens=2)).served_by for _ in range(8)} == {"b"}
    gateway.nodes["a"].fault("none")
    gateway.wait_up("a")


def test_one_slow_canary_is_no_hung_node(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": FAST_NODE}, canaryStrikes=20, **IMPATIENT)
    gateway.nodes["a"].fault("hang")
    failed = "haproxy_server_check_failures_total"
    wait_for("three strikes", lambda: gateway.metric(failed, proxy="vllm", server="a") >= 3)
    assert gateway.up("a")


def test_a_busy_node_stays_and_its_503_goes_to_the_other(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": ("--max-num-queued-reqs", "1", *SLOW_NODE), "b": FAST_NODE})
    with ThreadPoolExecutor(1) as pool:
        occupied = pool.submit(gateway.nodes["a"].ask, "POST", "/v1/chat/completions", chat(max_tokens=1000))
        wait_for("the node works", lambda: _counter(gateway, "a", "vllm:num_requests_running") == 1)
        answers = [gateway.ask(chat(max_tokens=2)) for _ in range(6)]
        assert {(a.status, a.served_by) for a in answers} == {(200, "b")}
        assert _counter(gateway, "a", "vllm:admission_rejections_total") >= 1
        assert gateway.up("a")
        assert not occupied.done()
        gateway.nodes["a"].kill()


def test_a_node_with_another_nodes_certificate_is_not_talked_to(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(wait=False, certificate_keys={"a": "b"})
    gateway.wait_up("b")
    wait_for("node a answers whoever does not look", gateway.nodes["a"].answers)
    # What HAProxy says of its last check of `a`: SSL, not TCP, is what failed.
    last = "haproxy_server_check_status"
    wait_for("a's handshake refused", lambda: gateway.metric(last, proxy="vllm", server="a", state="L6RSP") == 1)
    assert not gateway.up("a")
    assert {gateway.ask(chat(max_tokens=1)).served_by for _ in range(4)} == {"b"}


def test_without_a_free_slot_a_request_waits_shortly_and_is_refused(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": SLOW_NODE}, maxConnectionsPerNode=1, queueTimeoutMs=100)
    with ThreadPoolExecutor(1) as pool:
        occupied = pool.submit(gateway.ask, chat(max_tokens=160))
        _wait_occupied(gateway, 1)
        refused = gateway.ask(chat(max_tokens=1))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.json["error"]["code"] == "overloaded"
        assert occupied.result().status == 200
    # The slot is free a moment after the answer's last byte.
    wait_for("the node is used again", lambda: gateway.ask(chat(max_tokens=1)).status == 200)


def test_a_reload_takes_new_nodes_in_and_cuts_no_stream(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": SLOW_NODE, "b": SLOW_NODE})
    both = list(gateway.nodes.values())
    gateway.machine.put(bundle(both[:1], settings()))
    haproxy = gateway.machine.service("haproxy")
    assert haproxy.reload_signal == "USR2"
    with ThreadPoolExecutor(8) as pool:
        streams = [pool.submit(gateway.ask, chat(max_tokens=160, stream=True)) for _ in range(8)]
        _wait_occupied(gateway, 8)
        gateway.machine.processes["haproxy"].send(signal.SIGUSR2)
        wait_for("new configuration", lambda: gateway.up("a") and not gateway.up("b"))
        answers = [s.result() for s in streams]
    assert all(a.whole and a.body.endswith(b"data: [DONE]\n\n") for a in answers)
    assert {a.served_by for a in answers} == {"a", "b"}
    # Until the old process has heard that it is to end, it takes connections too; with its last stream it ends.
    wait_for("the new process alone", lambda: len(_workers(gateway)) == 1)
    assert {gateway.ask(chat(max_tokens=1)).served_by for _ in range(20)} == {"a"}


def test_a_node_that_asks_for_no_certificate_is_reached_by_the_one_that_is_shown_all_the_same(
    make_gateway: GatewayMaker,
) -> None:
    """On the way of a running stack the gateway shows it first."""
    gateway = make_gateway(nodes={"a": (*FAST_NODE, "--ssl-cert-reqs", "0")})
    assert gateway.ask(chat(max_tokens=1)).status == 200


def test_a_gateway_with_another_stacks_certificate_reaches_no_node(
    make_gateway: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECRETS, "client.pem", Made.of().client)
    gateway = make_gateway(nodes={"a": FAST_NODE}, wait=False)
    wait_for("the node serves", gateway.nodes["a"].answers)  # those of its own stack
    gateway.wait_down("a")
    assert gateway.ask(chat(max_tokens=1)).status == 503


def test_haproxy_says_whether_it_shows_nodes_the_certificate_and_that_it_does_after_a_reload(
    make_gateway: GatewayMaker,
) -> None:
    gateway = make_gateway(nodes={"a": FAST_NODE})
    configuration = gateway.machine.root / "haproxy/haproxy.cfg"
    shown = configuration.read_text()

    def says() -> str:
        program = [sys.executable, str(gateway.machine.root / "bin/route.py"), "--shows", "client.pem"]
        return subprocess.check_output(program, text=True).strip()

    def reload(text: str) -> None:
        configuration.write_text(text)
        gateway.machine.processes["haproxy"].send(signal.SIGUSR2)

    assert says() == "yes"
    reload(re.sub(r' crt "[^"]*client.pem"', "", shown))
    wait_for("a gateway of before", lambda: says() == "no")
    reload(shown)
    wait_for("a gateway that shows it", lambda: says() == "yes")
    gateway.machine.processes["haproxy"].stop()
    assert says() == "silent"


def test_prefix_hash_keeps_a_prompts_beginning_on_one_node(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(balance="prefixHash", prefixBytes=16)
    for prompt in range(10):
        bodies = [chat(content=f"prompt number {prompt:03d} and then {tail}", max_tokens=1) for tail in range(4)]
        assert len({gateway.ask(body).served_by for body in bodies}) == 1
    served = {
        gateway.ask({"model": SERVED, "prompt": f"{n:016d}", "max_tokens": 1}, "/v1/completions").served_by
        for n in range(20)
    }
    assert served == {"a", "b"}


def test_a_long_request_is_routed_if_it_names_its_model_within_the_buffer(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": (*FAST_NODE, "--sim-context-tokens", "1M", "--sim-kv-cache-tokens", "2M")})
    text = "word " * 120_000
    first = gateway.ask(_json(chat(content=text, max_tokens=1)))
    assert (first.status, first.served_by) == (200, "a")
    last = gateway.ask(_json({"messages": [{"role": "user", "content": text}], "model": SERVED, "max_tokens": 1}))
    assert last.served_by != "a"


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


def _counter(gateway: Gateway, key: str, name: str) -> float:
    text = ask(gateway.nodes[key].port, "GET", "/metrics", tls=True).body.decode()
    return sum(float(r.rsplit(" ", 1)[1]) for r in text.splitlines() if r.startswith(name))


def _workers(gateway: Gateway) -> list[str]:
    """The processes of HAProxy's that serve: a reload adds one."""
    master = gateway.machine.processes["haproxy"].popen.pid
    return Path(f"/proc/{master}/task/{master}/children").read_text().split()


def _wait_occupied(gateway: Gateway, sessions: int) -> None:
    current = "haproxy_backend_current_sessions"
    wait_for(f"{sessions} requests on the nodes", lambda: gateway.metric(current, proxy="vllm") == sessions)
