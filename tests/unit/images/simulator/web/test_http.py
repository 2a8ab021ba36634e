"""The protocol, spoken to a real process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from images.simulator.metrics import INTER_TOKEN_LATENCY_S, REQUEST_LATENCY_S, TIME_TO_FIRST_TOKEN_S
from tests.support.eventually import eventually
from tests.unit.images.simulator.process import BEARER, KEY, Server, events, series

Start = Callable[..., Server]
PROMPT_TOKENS = 3
"""Of "What is due?", 12 characters."""
CHAT_PROMPT_TOKENS = len("<|user|>\nWhat is due?\n<|assistant|>\n") // 4
GAUGES = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
COUNTERS = (
    "prompt_tokens_total",
    "generation_tokens_total",
    "prefix_cache_queries_total",
    "prefix_cache_hits_total",
    "num_preemptions_total",
)
HISTOGRAMS = {
    "time_to_first_token_seconds": TIME_TO_FIRST_TOKEN_S,
    "inter_token_latency_seconds": INTER_TOKEN_LATENCY_S,
    "e2e_request_latency_seconds": REQUEST_LATENCY_S,
    "request_queue_time_seconds": REQUEST_LATENCY_S,
}


def test_health_and_ping_are_empty_200s(server: Server) -> None:
    answers = [server.get("/health"), server.get("/ping"), server.request("POST", "/ping")]
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"")] * 3


def test_the_version_says_that_it_is_a_simulator(server: Server) -> None:
    assert server.get("/version").json == {"version": "0.32.0+simulator"}


def test_models_are_the_served_names_with_the_model_as_their_root(server: Server) -> None:
    listed = server.get("/v1/models").json
    assert listed["object"] == "list"
    assert [card["id"] for card in listed["data"]] == ["llama-70b", "also-llama"]
    card = listed["data"][0]
    assert (card["object"], card["owned_by"], card["root"], card["max_model_len"]) == (
        "model",
        "vllm",
        "org/model",
        2048,
    )


def test_a_chat_completion_has_openais_shape(server: Server) -> None:
    answer = server.chat(model="also-llama", max_tokens=5, ignore_eos=True).json
    choice = answer["choices"][0]
    assert (answer["object"], answer["model"], len(answer["choices"])) == ("chat.completion", "llama-70b", 1)
    assert answer["id"].startswith("chatcmpl-")
    assert isinstance(answer["created"], int)
    assert choice["message"]["role"] == "assistant"
    assert len(choice["message"]["content"]) == 5 * 4
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "length", None)
    assert answer["usage"] == {
        "prompt_tokens": CHAT_PROMPT_TOKENS,
        "completion_tokens": 5,
        "total_tokens": CHAT_PROMPT_TOKENS + 5,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }


def test_a_completion_has_openais_shape(server: Server) -> None:
    answer = server.complete(max_tokens=5, ignore_eos=True).json
    choice = answer["choices"][0]
    assert (answer["object"], answer["id"][:5], len(choice["text"])) == ("text_completion", "cmpl-", 20)
    assert (choice["finish_reason"], choice["stop_reason"]) == ("length", None)
    assert answer["usage"]["prompt_tokens"] == PROMPT_TOKENS


def test_an_answer_that_ends_by_itself_says_stop_and_is_the_same_again(server: Server) -> None:
    first, second = server.chat().json, server.chat().json
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]
    assert first["choices"][0]["finish_reason"] == "stop"
    assert first["usage"]["completion_tokens"] * 4 == len(first["choices"][0]["message"]["content"])


def test_a_stop_string_cuts_the_answer_whole_and_streamed(server: Server) -> None:
    text = server.complete(max_tokens=20, ignore_eos=True).json["choices"][0]["text"]
    stop = text[33:38]
    fields: dict[str, Any] = {"max_tokens": 20, "ignore_eos": True, "stop": ["none such", stop]}
    choice = server.complete(**fields).json["choices"][0]
    assert (choice["text"], choice["finish_reason"], choice["stop_reason"]) == (text[: text.index(stop)], "stop", stop)
    with server.stream(**fields) as response:
        assert "".join(text for text, _ in _pieces(events(response))) == choice["text"]


def test_the_clients_request_id_is_kept_if_it_is_one(server: Server) -> None:
    assert server.complete({"X-Request-Id": "abc-1.2"}).json["id"] == "cmpl-abc-1.2"
    assert "evil" not in server.complete({"X-Request-Id": "evil id\t!"}).json["id"]


def test_a_chat_stream_is_a_role_the_text_a_reason_and_done(server: Server) -> None:
    fields: dict[str, Any] = {"max_tokens": 6, "ignore_eos": True}
    whole = server.chat(**fields).json["choices"][0]["message"]["content"]
    messages = [{"role": "user", "content": "What is due?"}]
    with server.stream("/v1/chat/completions", messages=messages, **fields) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        data = list(events(response))
    assert data[-1] == "[DONE]"
    chunks = [json.loads(item) for item in data[:-1]]
    assert {(chunk["object"], chunk["id"], chunk["model"]) for chunk in chunks} == {
        ("chat.completion.chunk", chunks[0]["id"], "llama-70b")
    }
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(choice["delta"]["content"] for choice in choices) == whole
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    assert not any("usage" in chunk for chunk in chunks)


def test_include_usage_adds_one_event_without_choices_before_done(server: Server) -> None:
    with server.stream(max_tokens=6, ignore_eos=True, stream_options={"include_usage": True}) as response:
        data = list(events(response))
    last = json.loads(data[-2])
    assert (data[-1], last["choices"]) == ("[DONE]", [])
    assert last["usage"] == {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 6, "total_tokens": PROMPT_TOKENS + 6}
    assert not any("usage" in json.loads(item) for item in data[:-2])


def test_continuous_usage_stats_count_up(server: Server) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    with server.stream(max_tokens=6, ignore_eos=True, stream_options=options) as response:
        counts = [json.loads(item)["usage"]["completion_tokens"] for item in list(events(response))[:-1]]
    assert counts == sorted(counts)
    assert counts[-1] == 6


def test_errors_have_vllms_shape(server: Server) -> None:
    answer = server.complete(model="gpt-4o")
    assert answer.status == 404
    assert answer.json == {
        "error": {
            "message": "The model `gpt-4o` does not exist. Valid aliases: llama-70b, also-llama.",
            "type": "NotFoundError",
            "param": "model",
            "code": 404,
        }
    }


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_400(server: Server, body: bytes) -> None:
    answer = server.request("POST", "/v1/chat/completions", body)
    assert (answer.status, answer.json["error"]["type"]) == (400, "Bad Request")


def test_another_media_type_is_400(server: Server) -> None:
    answer = server.request("POST", "/v1/completions", b'{"prompt": "x"}', {"Content-Type": "text/plain"})
    assert (answer.status, "Only 'application/json' is allowed" in answer.json["error"]["message"]) == (400, True)


def test_a_prompt_beyond_the_context_is_400(server: Server) -> None:
    assert server.complete(prompt="x" * (4 * 2048)).status == 400  # no room for a token
    answer = server.complete(prompt="x" * (4 * 2048 + 1))
    assert (answer.status, answer.json["error"]["param"]) == (400, "input_tokens")


def test_a_large_prompt_within_the_context_is_served(start: Start) -> None:
    server = start("--sim-time-scale", "0")
    answer = server.complete(prompt="word " * 100_000, max_tokens=1)
    assert (answer.status, answer.json["usage"]["prompt_tokens"]) == (200, 125_000)


def test_other_paths_and_methods_are_refused(server: Server) -> None:
    assert (server.get("/nowhere").status, server.get("/nowhere").json) == (404, {"detail": "Not Found"})
    assert server.get("/v1/completions").status == 405
    assert server.request("POST", "/sim/faults", {"fault": "hang"}).status == 404


def test_all_series_of_vllm_are_there_from_the_start_with_its_labels(start: Start) -> None:
    server = start("--data-parallel-size", "2", "--served-model-name", "m")
    answer = server.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    both = [{"model_name": "m", "engine": "0"}, {"model_name": "m", "engine": "1"}]
    for name in (*GAUGES, *COUNTERS):
        assert series(text, f"vllm:{name}") == [(labels, 0.0) for labels in both]
    for name, buckets in HISTOGRAMS.items():
        assert series(text, f"vllm:{name}_count") == [(labels, 0.0) for labels in both]
        bounds = [float(labels["le"]) for labels, _ in series(text, f"vllm:{name}_bucket") if labels["engine"] == "0"]
        assert bounds == [*buckets, float("inf")]
    reasons = {labels["finished_reason"] for labels, _ in series(text, "vllm:request_success_total")}
    assert reasons == {"stop", "length", "abort", "error", "repetition"}
    assert series(text, "vllm:admission_rejections_total") == [
        ({"model_name": "m", "reason": "max_num_queued_reqs"}, 0.0),
        ({"model_name": "m", "reason": "max_num_queued_tokens"}, 0.0),
    ]


def test_counters_agree_with_the_usage_that_clients_were_told(start: Start) -> None:
    server = start("--sim-time-scale", "0", "--enable-prompt-tokens-details")
    usages = [server.complete(prompt="word " * 100, max_tokens=n).json["usage"] for n in (3, 5)]
    assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages] == [0, 125 // 16 * 16]
    assert server.metric("vllm:prompt_tokens_total") == sum(usage["prompt_tokens"] for usage in usages) == 250
    assert server.metric("vllm:generation_tokens_total") == sum(usage["completion_tokens"] for usage in usages) == 8
    assert server.metric("vllm:prefix_cache_hits_total") == 112
    assert server.metric("vllm:time_to_first_token_seconds_count") == 2
    assert server.metric("vllm:inter_token_latency_seconds_count") == 6
    assert server.metric("vllm:request_success_total", finished_reason="length") == 2


def test_the_key_guards_v1_and_nothing_else(start: Start) -> None:
    server = start("--api-key", KEY, "another")
    for path in ("/health", "/ping", "/version", "/metrics"):
        assert server.get(path).status == 200
    for headers in ({}, {"Authorization": KEY}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
        answer = server.request("GET", "/v1/models", headers=headers)
        assert (answer.status, answer.json) == (401, {"error": "Unauthorized"})
        assert server.complete(headers).status == 401
    assert server.request("GET", "/v1/models", headers=BEARER).status == 200
    assert server.complete({"Authorization": "bearer another"}, max_tokens=1).status == 200


def test_the_key_may_come_from_the_environment(start: Start) -> None:
    server = start(environment={"VLLM_API_KEY": KEY})
    assert (server.chat().status, server.chat(BEARER, max_tokens=1).status) == (401, 200)


def test_beyond_the_queue_limit_the_answer_is_503_even_for_a_stream_and_is_counted(start: Start) -> None:
    server = start("--max-num-seqs", "1", "--max-num-queued-reqs", "2", "--sim-sequence-tokens-per-s", "10")
    long: dict[str, Any] = {"max_tokens": 1000, "ignore_eos": True}
    with server.stream(**long), server.stream(**long):
        eventually(lambda: server.metric("vllm:num_requests_running") == 1, "one request runs")
        assert server.metric("vllm:num_requests_waiting") == 1
        answer = server.chat(stream=True)
        assert answer.status == 503
        assert answer.json["error"] == {
            "message": "The engine is currently busy and cannot accept new requests. "
            "Please try again later or on a different instance.",
            "type": "Service Unavailable",
            "param": None,
            "code": 503,
        }
        assert server.metric("vllm:admission_rejections_total", reason="max_num_queued_reqs") == 1
        assert server.metric("vllm:kv_cache_usage_perc") > 0


def test_a_client_that_leaves_frees_its_place(start: Start) -> None:
    server = start("--sim-sequence-tokens-per-s", "10")
    with server.stream(max_tokens=1000, ignore_eos=True) as response:
        next(events(response))
        assert server.metric("vllm:num_requests_running") == 1
    eventually(lambda: server.metric("vllm:num_requests_running") == 0, "no request runs")
    assert server.metric("vllm:kv_cache_usage_perc") == 0
    connection = server.connect()
    body = json.dumps({"prompt": "x", "max_tokens": 1000, "ignore_eos": True})
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    eventually(lambda: server.metric("vllm:num_requests_running") == 1, "one request runs")
    connection.close()
    eventually(lambda: server.metric("vllm:num_requests_running") == 0, "no request runs")


def test_neither_keys_nor_prompts_nor_answers_are_logged(start: Start) -> None:
    server = start("--api-key", KEY, "--enable-log-requests", "--uvicorn-log-level", "trace")
    answer = server.complete(BEARER, prompt="my medical history", max_tokens=8, ignore_eos=True)
    server.request("GET", f"/v1/models?key={KEY}", headers=BEARER)
    server.terminate()
    assert server.exit_code() == 0
    assert "POST '/v1/completions' 200" in server.log
    assert f"Received request {answer.json['id']}" in server.log
    for secret in (KEY, "medical", answer.json["choices"][0]["text"].strip()):
        assert secret not in server.log


def test_the_access_log_can_leave_paths_out_or_be_off(start: Start) -> None:
    some = start("--disable-access-log-for-endpoints", "/health,/metrics")
    none = start("--disable-uvicorn-access-log")
    for server in (some, none):
        server.get("/health")
        server.get("/version")
        server.terminate()
        assert server.exit_code() == 0
    assert ("/health" in some.log, "/version" in some.log) == (False, True)
    assert "/version" not in none.log


def test_it_stays_small(start: Start) -> None:
    server = start("--sim-time-scale", "0")
    for number in range(60):  # of 25,000 tokens each: the whole KV cache of 1.4 million and more
        assert server.complete(prompt=f"{number} " + "word " * 20_000, max_tokens=100).status == 200
    assert server.metric("process_resident_memory_bytes") < 70 * 2**20


def _pieces(data: Any) -> list[tuple[str, str | None]]:
    choices = [json.loads(item)["choices"][0] for item in data if item != "[DONE]"]
    return [(choice["text"], choice["finish_reason"]) for choice in choices]
