"""The way through LiteLLM: managed models, the cache, the fallback of the self-hosted ones."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from images.roles.monitoring.limits import NAME_LABEL
from tests.integration.gateway.conftest import FAST_NODE, Backplane, Gateway, GatewayMaker
from tests.integration.gateway.harness import ALIAS, MANAGED, SECRETS, SERVED, Answer, ask, chat, wait_for

SLOW_NODE = ("--sim-sequence-tokens-per-s", "20")


@pytest.fixture
def make(make_gateway: GatewayMaker, backplane: Backplane) -> GatewayMaker:
    """make_gateway in front of the shared LiteLLM, ready."""

    def with_litellm(**more: object) -> Gateway:
        gateway = make_gateway(ports=backplane.ports, **more)
        wait_for("litellm up", lambda: gateway.metric("haproxy_server_status", proxy="litellm", state="UP") == 1)
        return gateway

    return with_litellm


def _played(backplane: Backplane) -> float:
    """Completions that the stand-in has made."""
    text = ask(backplane.machine.ports["managed"], "GET", "/metrics").body.decode()
    return sum(float(r.rsplit(" ", 1)[1]) for r in text.splitlines() if r.startswith("vllm:request_success_total"))


def _cached(backplane: Backplane) -> set[str]:
    """Redis' keys of answers; LiteLLM has others, of what it counts."""
    command = ["redis-cli", "-p", str(backplane.machine.ports["redis"]), "keys", "*"]
    known = {**os.environ, "REDISCLI_AUTH": SECRETS["redis-password"]}
    keys = subprocess.check_output(command, env=known, text=True, timeout=60).split()
    return {key for key in keys if re.fullmatch("litellm:[0-9a-f]{64}", key)}


def _kept(gateway: Gateway, backplane: Backplane, body: object) -> Answer:
    """The answer, once it is in the cache. LiteLLM writes it there while it answers: whoever asks again before gets
    another answer, which is then the one that is there."""
    before = _cached(backplane)
    answer = gateway.ask(body)
    wait_for("the answer is in the cache", lambda: _cached(backplane) - before)
    return answer


def test_every_check_of_the_bundle_passes(make: GatewayMaker, backplane: Backplane) -> None:
    gateway = make()
    names = {c.name for c in gateway.machine.bundle.checks} - {"prometheus", "alertmanager"}
    assert names == {"haproxy", "endpoint", "litellm", "cache", "managed"}
    gateway.machine.wait_ready(*names)


def test_a_managed_model_is_answered_by_its_own_name(make: GatewayMaker) -> None:
    answer = make().ask(chat(MANAGED, max_tokens=4))
    assert (answer.status, answer.served_by) == (200, "litellm")
    assert answer.json["object"] == "chat.completion"
    assert answer.json["usage"]["completion_tokens"] == 4


def test_finding_22_litellm_writes_no_query_string(make: GatewayMaker, backplane: Backplane) -> None:
    """Audit 22: nor a key; of a request that it answers it writes nothing at all."""
    gateway, path = make(), "/v1/chat/completions"
    answer = ask(gateway.port, "POST", f"{path}?api_key=in-the-query", chat(MANAGED, max_tokens=4))
    assert (answer.status, answer.served_by) == (200, "litellm")
    log = backplane.machine.processes["litellm"].output()
    assert "in-the-query" not in log
    assert not [secret for secret in SECRETS.values() if secret.strip() in log]


def test_a_managed_model_streams(make: GatewayMaker) -> None:
    answer = make().ask(chat(MANAGED, content=uuid.uuid4().hex, max_tokens=8, stream=True))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.count(b"data: ") >= 3
    assert answer.body.rstrip().endswith(b"data: [DONE]")


def test_a_repeated_managed_request_comes_from_the_cache(make: GatewayMaker, backplane: Backplane) -> None:
    gateway, body = make(), chat(MANAGED, content=uuid.uuid4().hex, max_tokens=4)
    before = _played(backplane)
    first = _kept(gateway, backplane, body)
    assert _played(backplane) == before + 1
    second = gateway.ask(body)
    assert second.json["id"] == first.json["id"]
    assert second.json["choices"][0]["message"] == first.json["choices"][0]["message"]
    paid = _played(backplane)
    assert gateway.ask(body).json["id"] == first.json["id"]
    assert _played(backplane) == paid
    assert gateway.ask(chat(MANAGED, content=uuid.uuid4().hex, max_tokens=4)).json["id"] != first.json["id"]


@pytest.mark.parametrize(
    "orders",
    [
        {"extra_body": {"messages": [{"role": "user", "content": "another question"}]}},
        {"litellm_params": {"preset_cache_key": "chosen"}},
        {"mock_response": "invented"},
        {"metadata": {"caching_groups": [f"{MANAGED}-dear"]}},
        {"custom_llm_provider": "anthropic"},
        {"api_key": "sk-of-the-client"},
        {"extra_headers": {"Authorization": "Bearer sk-of-the-client"}},
        {"api_base": "http://127.0.0.1:9/"},
        {"fallbacks": [{"model": MANAGED, "api_base": "http://127.0.0.1:9/"}]},
        {"num_retries": 9, "timeout": 0.0001},
    ],
    ids=lambda orders: next(iter(orders)),
)
def test_no_client_gives_litellm_orders(make: GatewayMaker, backplane: Backplane, orders: dict[str, object]) -> None:
    """What LiteLLM would heed changes neither the answer nor who gets it from the cache: each is answered, once, as the
    same question is without them."""
    gateway, question = make(), chat(MANAGED, content=uuid.uuid4().hex, max_tokens=8)
    alike = _kept(gateway, backplane, {**question, "user": "another client"})
    plain = alike.json["choices"][0]["message"]["content"]
    before = _played(backplane)
    ordered = _kept(gateway, backplane, {**question, **orders})
    assert ordered.json["choices"][0]["message"]["content"] == plain
    assert gateway.ask(question).json["id"] == ordered.json["id"]
    assert gateway.ask({**question, "user": "x"}).json["choices"][0]["message"]["content"] == plain
    assert _played(backplane) >= before + 1


def test_the_body_alone_says_the_model(make: GatewayMaker) -> None:
    """LiteLLM takes `?model=` before the body's: neither the log nor the price would be that one's."""
    answer = make().ask(chat(MANAGED, content=uuid.uuid4().hex, max_tokens=1), "/v1/chat/completions?model=another")
    assert (answer.status, answer.json["model"]) == (200, MANAGED)


def test_requests_that_differ_in_what_openai_does_not_know_get_each_their_own_answer(
    make: GatewayMaker, backplane: Backplane
) -> None:
    gateway, question = make(), chat(MANAGED, content=uuid.uuid4().hex, max_tokens=1)
    asked: list[dict[str, object]] = [{"min_p": 0.1}, {"min_p": 0.9}, {"chat_template_kwargs": {"x": False}}, {}]
    answers = [_kept(gateway, backplane, {**question, **more}) for more in asked]
    assert {a.status for a in answers} == {200}
    assert len({a.json["id"] for a in answers}) == len(asked)
    again = gateway.ask({**question, **asked[0]})
    assert again.json["id"] == answers[0].json["id"]


def test_an_unknown_model_is_a_client_error_in_openais_shape(make: GatewayMaker) -> None:
    answer = make().ask(chat("no-such-model"))
    assert (answer.status, answer.json["error"]["code"], answer.served_by) == (404, "model_not_found", None)
    assert "no-such-model" in answer.json["error"]["message"]


def test_self_hosted_requests_do_not_pass_litellm_while_a_node_is_up(make: GatewayMaker, backplane: Backplane) -> None:
    gateway, before = make(fallback=MANAGED), _played(backplane)
    with ThreadPoolExecutor(8) as pool:
        served = {a.served_by for a in pool.map(lambda _: gateway.ask(chat(max_tokens=2)), range(32))}
    assert served == {"a", "b"}
    assert gateway.metric("haproxy_backend_sessions_total", proxy="litellm") == 0
    assert _played(backplane) == before


def test_a_request_that_finds_the_last_node_dead_is_answered_by_the_fallback(make: GatewayMaker) -> None:
    gateway = make(fallback=MANAGED, healthIntervalMs=60_000)
    for node in gateway.nodes.values():
        node.kill()
    assert gateway.up("a")
    assert gateway.up("b")
    answer = gateway.ask(chat(content=uuid.uuid4().hex, max_tokens=4))
    assert (answer.status, answer.served_by) == (200, "spill")
    assert not gateway.up("a")
    assert not gateway.up("b")


def test_killing_both_nodes_under_load_hands_over_to_the_fallback_without_an_error(make: GatewayMaker) -> None:
    gateway = make(fallback=MANAGED, nodes={"a": SLOW_NODE, "b": SLOW_NODE})
    killed = threading.Event()

    def client(number: int) -> list[tuple[int, str | None]]:
        answers = []
        for turn in range(4):
            if number == 0 and turn == 1:
                for node in gateway.nodes.values():
                    node.kill()
                killed.set()
            if turn == 3:  # after the end, whoever was quicker so far
                assert killed.wait(60)
            answer = gateway.ask(chat(content=f"{number} {turn}", max_tokens=8))
            answers.append((answer.status, answer.served_by))
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = [a for some in pool.map(client, range(8)) for a in some]
    assert {status for status, _ in answers} == {200}
    assert answers[0][1] in ("a", "b")
    assert answers[-1][1] in ("spill", "litellm")


def test_what_is_spilled_is_counted_by_the_name_that_was_asked_for(make: GatewayMaker, backplane: Backplane) -> None:
    """Endpoint: alert and counter of money spent through fallback: by LiteLLM's series that the rules read. No other
    test spills what asks for this name, which would be counted at any time."""
    gateway = make(fallback=MANAGED, nodes={})

    def tokens(name: str) -> float:
        key = SECRETS["litellm-master-key"]
        text = ask(backplane.machine.ports["litellm"], "GET", "/metrics/", key=key).body.decode()
        rows = [r for r in text.splitlines() if r.startswith(f"litellm_{name}_tokens_metric_total{{")]
        return sum(float(r.rsplit(" ", 1)[1]) for r in rows if f'{NAME_LABEL}="{ALIAS}"' in r)

    before = tokens("output")
    assert gateway.ask(chat(ALIAS, content=uuid.uuid4().hex, max_tokens=4)).status == 200
    wait_for("4 tokens are counted", lambda: tokens("output") - before == 4)
    assert tokens("input") > 0


def test_with_every_node_dead_or_vacant_the_fallback_answers_streams_too(make: GatewayMaker) -> None:
    gateway = make(fallback=MANAGED, nodes={})
    answer = gateway.ask(chat(content=uuid.uuid4().hex, max_tokens=4, stream=True))
    assert answer.status == 200
    assert answer.body.rstrip().endswith(b"data: [DONE]")


def test_without_a_free_slot_the_fallback_answers_and_the_node_is_used_again_after(make: GatewayMaker) -> None:
    gateway = make(fallback=MANAGED, nodes={"a": SLOW_NODE}, maxConnectionsPerNode=1, spillQueue=0)
    with ThreadPoolExecutor(1) as pool:
        occupied = pool.submit(gateway.ask, chat(max_tokens=200))
        current = "haproxy_backend_current_sessions"
        wait_for("the node is occupied", lambda: gateway.metric(current, proxy="vllm") == 1)
        spilled = gateway.ask(chat(content=uuid.uuid4().hex, max_tokens=1))
        assert (spilled.status, spilled.served_by) == (200, "litellm")
        assert occupied.result().served_by == "a"
    # The slot is free a moment after the answer's last byte.
    wait_for("the node is used again", lambda: gateway.ask(chat(max_tokens=1)).served_by == "a")


def test_without_a_fallback_dead_nodes_are_an_error_and_managed_models_still_answer(make: GatewayMaker) -> None:
    gateway = make(nodes={"a": FAST_NODE})
    gateway.nodes["a"].kill()
    for _ in range(2):
        answer = gateway.ask(chat())
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json["error"]["code"] == "overloaded"
    assert gateway.ask(chat(MANAGED, max_tokens=1)).status == 200


def test_the_way_of_the_spill_needs_the_nodes_key(make: GatewayMaker) -> None:
    gateway = make(fallback=MANAGED, nodes={})
    port = gateway.machine.ports["haproxy-spill"]
    assert ask(port, "POST", "/v1/chat/completions", chat(), key=None).status == 401
    assert ask(port, "POST", "/v1/chat/completions", chat()).status == 401


def test_the_names_that_litellm_knows_are_not_the_nodes(make: GatewayMaker, backplane: Backplane) -> None:
    config = (backplane.machine.root / "litellm/config.yaml").read_text()
    assert "nodes.crossover.internal" not in config
    assert f"{SERVED}: {MANAGED}" in config
