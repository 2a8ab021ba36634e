"""Statuses, words and shapes, as a running vLLM 0.32.0 (its CPU build) was captured to answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.images.simulator.process import BEARER, Server, events, series

TEXT: dict[str, Any] = {"model": "tiny", "prompt": "hello there", "max_tokens": 4, "temperature": 0}
CHAT: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 4,
    "temperature": 0,
}
ENVELOPE = ["id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage"]
EXTENSIONS = ["kv_transfer_params", "ec_transfer_params", "metrics"]
USAGE = [
    *("prompt_tokens", "total_tokens", "completion_tokens"),
    *("prompt_tokens_details", "completion_tokens_details"),
]
REASONS = ["logprobs", "finish_reason", "stop_reason"]
MESSAGE = ["role", "content", "refusal", "annotations", "audio", "function_call", "reasoning"]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}

PARAMETERS = {
    "type": "object",
    "properties": {"unit": {"enum": ["celsius"]}},
    "required": ["unit"],
    "additionalProperties": False,
}
"""A finite schema: a model of random weights, too, can only say what it allows."""
LABELS = {"model_name", "engine"}


def text(served: Server, **fields: Any) -> Any:
    return served.request("POST", "/v1/completions", {**TEXT, **fields}, BEARER)


def chat(served: Server, **fields: Any) -> Any:
    return served.request("POST", "/v1/chat/completions", {**CHAT, **fields}, BEARER)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("HEAD", "/health", 405),
        ("POST", "/health", 405),
        ("GET", "/ping", 200),
        ("POST", "/ping", 200),
        ("GET", "/version", 200),
        ("GET", "/load", 200),
        ("GET", "/metrics", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/kv_event_sources", 200),
        ("POST", "/is_scaling_elastic_ep", 200),
        ("GET", "/nothing", 404),
        ("OPTIONS", "/v1/completions", 405),
        ("GET", "/v1/models", 401),
        ("GET", "/v1/nothing", 401),
        ("POST", "/inference/v1/generate", 401),
        ("POST", "/v2/anything", 401),
        ("POST", "/cohere/anything", 401),
    ],
)
def test_without_the_key(served: Server, method: str, path: str, status: int) -> None:
    assert served.request(method, path, {} if method == "POST" else None).status == status


@pytest.mark.parametrize("body", [TEXT, CHAT])
def test_invocations_completes_without_the_key(served: Server, body: dict[str, Any]) -> None:
    assert served.request("POST", "/invocations", body).json["choices"][0]["finish_reason"] == "length"


def test_tokenize_asks_for_no_key(served: Server) -> None:
    told = served.request("POST", "/tokenize", {"model": "tiny", "prompt": "hello"}).json
    assert list(told) == ["count", "max_model_len", "tokens", "token_strs"]
    assert (told["count"], told["max_model_len"]) == (len(told["tokens"]), 2048)
    assert list(served.request("POST", "/detokenize", {"model": "tiny", "tokens": [5, 6]}).json) == ["prompt"]


def test_headers(served: Server) -> None:
    answer = text(served)
    assert (answer.headers["server"], answer.headers["vary"]) == ("uvicorn", "Origin")
    assert answer.headers["content-type"] == "application/json"
    assert b'", "' not in answer.body
    assert served.get("/metrics").headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    refused = served.get("/v1/models")
    assert (refused.json, refused.headers["vary"]) == ({"error": "Unauthorized"}, None)


def test_models(served: Server) -> None:
    listed = served.request("GET", "/v1/models", headers=BEARER).json
    assert [card["id"] for card in listed["data"]] == ["tiny", "tiny-alias"]
    assert list(listed["data"][0]) == [
        *("id", "object", "created", "owned_by", "root", "parent", "max_model_len", "permission")
    ]


def test_the_shape_of_a_text(served: Server) -> None:
    answer = text(served).json
    assert list(answer) == [*ENVELOPE, *EXTENSIONS]
    assert list(answer["usage"]) == USAGE
    nulls = ["token_ids", "prompt_logprobs", "prompt_token_ids", "routed_experts"]
    assert list(answer["choices"][0]) == ["index", "text", *REASONS, *nulls]
    assert len(answer["id"]) == len("cmpl-") + 16


def test_the_shape_of_a_chat(served: Server) -> None:
    answer = chat(served).json
    assert list(answer) == [*ENVELOPE, "prompt_logprobs", "prompt_token_ids", "prompt_text", *EXTENSIONS]
    assert list(answer["choices"][0]) == ["index", "message", *REASONS, "token_ids", "routed_experts"]
    assert list(answer["choices"][0]["message"]) == MESSAGE


def test_the_shape_of_a_chats_stream(served: Server) -> None:
    messages = CHAT["messages"]
    connection = served.connect()
    body = json.dumps({"messages": messages, "stream": True, "max_tokens": 2, "ignore_eos": True})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json", **BEARER})
    response = connection.getresponse()
    *chunks, done = list(events(response))
    connection.close()
    first, *_, last = [json.loads(chunk) for chunk in chunks]
    assert (response.headers["content-type"], done) == ("text/event-stream; charset=utf-8", "[DONE]")
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert list(first) == ["id", "object", "created", "model", "choices", "prompt_token_ids", "prompt_text"]
    assert list(last) == ["id", "object", "created", "model", "choices", "system_fingerprint"]
    assert list(last["choices"][0]) == ["index", "delta", *REASONS, "token_ids"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -1}, "temperature must be non-negative, got -1.0. (parameter=temperature, value=-1.0)"),
        ({"temperature": 5}, "temperature must be in [0, 2], got 5.0. (parameter=temperature, value=5.0)"),
        ({"top_p": 2}, "top_p must be in (0, 1], got 2.0. (parameter=top_p, value=2.0)"),
        ({"n": 0}, "n must be at least 1, got 0."),
        ({"n": 2}, "n must be 1 when using greedy sampling, got 2."),
        ({"stop": ""}, "stop cannot contain an empty string."),
        ({"min_tokens": 10}, "min_tokens must be less than or equal to max_tokens=4, got 10."),
        ({"prompt": [999_999]}, "Token id 999999 is out of vocabulary"),
        ({"prompt": []}, "You must pass at least one prompt"),
        ({"max_tokens": 0}, "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)"),
        ({"suffix": "x"}, "suffix is only supported for models with FIM completion rendering"),
    ],
)
def test_what_is_refused_in_which_words(served: Server, fields: dict[str, Any], message: str) -> None:
    answer = text(served, **fields)
    assert (answer.status, answer.json["error"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "{'type': 'missing', 'loc': 'body', 'msg': 'Field required', 'input': 'None'}"),
        (b"null", "{'type': 'missing', 'loc': 'body', 'msg': 'Field required', 'input': 'None'}"),
        (
            b"[]",
            "{'type': 'model_attributes_type', 'loc': 'body', 'msg': 'Input should be a valid dictionary or object to "
            "extract fields from', 'input': '<list of 0 items>'}",
        ),
        (
            b"{",
            "{'type': 'json_invalid', 'loc': 'body.1', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', "
            "'ctx': {'error': 'Expecting property name enclosed in double quotes'}}",
        ),
        (
            b'{"prompt": "x", "max_tokens": "x"}',
            "{'type': 'int_parsing', 'loc': 'body.max_tokens', 'msg': 'Input should be a valid integer, unable to "
            "parse string as an integer', 'input': 'x'}",
        ),
    ],
)
def test_a_body_of_the_wrong_shape(served: Server, body: bytes, message: str) -> None:
    answer = served.request("POST", "/v1/completions", body, BEARER)
    assert (answer.status, answer.json["error"]["message"]) == (400, f"1 validation error:\n  {message}")


def test_an_unknown_model_and_a_prompt_that_is_too_long(served: Server) -> None:
    answer = text(served, model="nope")
    assert (answer.status, answer.json["error"]["message"]) == (
        404,
        "The model `nope` does not exist. Valid aliases: tiny, tiny-alias.",
    )
    long = chat(served, messages=[{"role": "user", "content": "hello " * 4000}]).json["error"]
    assert "your prompt contains at least 2049 input tokens" in long["message"]
    assert "your prompt contains 3000 input tokens" in text(served, prompt=[5] * 3000).json["error"]["message"]


def test_several_prompts_an_echo_and_logprobs(served: Server) -> None:
    assert [choice["index"] for choice in text(served, prompt=["a", "b"]).json["choices"]] == [0, 1]
    assert text(served, echo=True).json["choices"][0]["text"].startswith("hello there")
    told = text(served, logprobs=1).json["choices"][0]["logprobs"]
    assert list(told) == ["text_offset", "token_logprobs", "tokens", "top_logprobs"]
    assert {len(values) for values in told.values()} == {4}
    content = chat(served, logprobs=True, top_logprobs=2).json["choices"][0]["logprobs"]["content"]
    assert {tuple(entry) for entry in content} == {("token", "logprob", "bytes", "top_logprobs")}


def test_several_answers_to_one_prompt(served: Server) -> None:
    answer = text(served, n=2, temperature=1, ignore_eos=True).json
    assert [(choice["index"], choice["finish_reason"]) for choice in answer["choices"]] == [
        (0, "length"),
        (1, "length"),
    ]
    assert answer["usage"]["completion_tokens"] == 8
    assert [choice["index"] for choice in chat(served, n=2, temperature=1).json["choices"]] == [0, 1]


@pytest.mark.parametrize(
    "form",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "weather", "schema": PARAMETERS}}},
        {"structured_outputs": {"json": PARAMETERS}},
    ],
)
def test_an_answer_of_a_schema(served: Server, form: dict[str, Any]) -> None:
    choice = chat(served, max_tokens=400, **form).json["choices"][0]
    assert (choice["finish_reason"], json.loads(choice["message"]["content"])) == ("stop", {"unit": "celsius"})


def test_an_answer_of_a_choice(served: Server) -> None:
    answer = text(served, max_tokens=20, structured_outputs={"choice": ["yes"]}).json["choices"][0]
    assert (answer["finish_reason"], answer["text"]) == ("stop", "yes")


def test_a_stream_tells_its_usage_where_it_is_asked(served: Server) -> None:
    body = {**TEXT, "stream": True, "stream_options": {"include_usage": True}}
    answer = served.request("POST", "/v1/completions", body, BEARER)
    *_, last, done = [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    told = json.loads(last)
    assert (done, told["choices"], told["usage"]["completion_tokens"]) == ("[DONE]", [], 4)


@pytest.mark.parametrize(
    ("family", "form", "labels"),
    [
        ("num_requests_running", "gauge", LABELS),
        ("num_requests_waiting", "gauge", LABELS),
        ("kv_cache_usage_perc", "gauge", LABELS),
        ("prompt_tokens", "counter", LABELS),
        ("generation_tokens", "counter", LABELS),
        ("prefix_cache_queries", "counter", LABELS),
        ("prefix_cache_hits", "counter", LABELS),
        ("num_preemptions", "counter", LABELS),
        ("request_success", "counter", {*LABELS, "finished_reason"}),
        ("admission_rejections", "counter", {"model_name", "reason"}),
        ("time_to_first_token_seconds", "histogram", LABELS),
        ("inter_token_latency_seconds", "histogram", LABELS),
        ("e2e_request_latency_seconds", "histogram", LABELS),
        ("request_queue_time_seconds", "histogram", LABELS),
    ],
)
def test_series_that_dashboards_and_rules_use(served: Server, family: str, form: str, labels: set[str]) -> None:
    exposition = served.get("/metrics").body.decode()
    ends = {"gauge": "", "counter": "_total", "histogram": "_count"}
    told = {line.split()[2]: line.split()[3] for line in exposition.splitlines() if line.startswith("# TYPE vllm:")}
    name = f"vllm:{family}"
    assert told[name + ("_total" if form == "counter" else "")] == form
    found = series(exposition, name + ends[form])
    assert found
    assert {frozenset(labels) for labels, _ in found} == {frozenset(labels)}
    assert {each["model_name"] for each, _ in found} == {"tiny"}


def test_tools_without_a_parser(served: Server) -> None:
    answer = chat(served, tools=[TOOL])
    assert (answer.status, answer.json["error"]["message"]) == (
        400,
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    )


def test_a_tool_call_that_is_required(calling: Server) -> None:
    tool = {"type": "function", "function": {"name": "weather", "strict": True, "parameters": PARAMETERS}}
    choice = chat(calling, tools=[tool], tool_choice="required", max_tokens=400).json["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert (choice["finish_reason"], call["type"]) == ("tool_calls", "function")
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"unit": "celsius"})
