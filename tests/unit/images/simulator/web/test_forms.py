"""Tool calls and JSON, spoken to a real process: what a form allows is what comes, whole and streamed alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.images.simulator.process import Server, events

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 3}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
ARGUMENTS = {"city": "aaa", "unit": "celsius"}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
CLOCK = {"type": "function", "function": {"name": "clock"}}
NAMED = {"type": "function", "function": {"name": "clock"}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server("--sim-time-scale", "0", "--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    yield server
    server.close()


@pytest.mark.parametrize(
    ("fields", "name", "arguments", "finish_reason"),
    [
        ({"tools": [WEATHER, CLOCK]}, "weather", ARGUMENTS, "tool_calls"),
        ({"tools": [WEATHER], "tool_choice": "auto"}, "weather", ARGUMENTS, "tool_calls"),
        ({"tools": [WEATHER], "tool_choice": "required"}, "weather", ARGUMENTS, "tool_calls"),
        ({"tools": [WEATHER, CLOCK], "tool_choice": NAMED}, "clock", {}, "stop"),
    ],
)
def test_a_tool_is_called_with_the_smallest_arguments_whole_and_streamed(
    server: Server, fields: dict[str, Any], name: str, arguments: dict[str, Any], finish_reason: str
) -> None:
    choice = server.chat(**fields).json["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert (call["type"], call["function"]["name"], choice["finish_reason"]) == ("function", name, finish_reason)
    assert json.loads(call["function"]["arguments"]) == arguments

    messages = [{"role": "user", "content": "What is due?"}]
    with server.stream("/v1/chat/completions", messages=messages, **fields) as response:
        chunks = [json.loads(data)["choices"][0] for data in events(response) if data != "[DONE]"]
    deltas = [chunk["delta"]["tool_calls"][0] for chunk in chunks if "tool_calls" in chunk["delta"]]
    assert (deltas[0]["function"]["name"], deltas[0]["index"]) == (name, 0)
    assert json.loads("".join(delta["function"]["arguments"] for delta in deltas)) == arguments
    assert chunks[-1]["finish_reason"] == finish_reason


def test_after_a_tools_result_the_answer_is_text(server: Server) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "How is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "fine"},
    ]
    body = {"messages": messages, "tools": [WEATHER]}
    message = server.request("POST", "/v1/chat/completions", body).json["choices"][0]["message"]
    assert message["content"]
    assert "tool_calls" not in message


def test_without_a_choice_tools_are_not_called(server: Server) -> None:
    assert server.chat(tools=[WEATHER], tool_choice="none").json["choices"][0]["message"]["content"]


def test_without_the_flags_tools_are_400_in_vllms_words(start: Callable[..., Server]) -> None:
    server = start("--sim-time-scale", "0")
    both = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    for choice, message in (
        ("auto", both),
        ("required", 'tool_choice="required" requires --tool-call-parser to be set'),
        (NAMED, 'tool_choice=function "clock" requires --tool-call-parser to be set'),
    ):
        answer = server.chat(tools=[CLOCK], tool_choice=choice)
        assert (answer.status, answer.json["error"]["message"]) == (400, message)
    assert server.chat(tools=[CLOCK], tool_choice="none").status == 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tool_choice": "required"}, "`tools` must be set"),
        ({"tools": [WEATHER], "tool_choice": NAMED}, "does not match any of the specified"),
        ({"tools": [{"type": "function"}]}, "Field required"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"pattern": "a"}}}]}, "pattern"),
        ({"response_format": {"type": "json_schema"}}, "Field required"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {"const": 1}}}}}, "not"),
        ({"structured_outputs": {"json": "{"}}, "no JSON schema"),
    ],
)
def test_a_form_that_cannot_be_had_is_400_and_says_why(server: Server, fields: dict[str, Any], message: str) -> None:
    answer = server.chat(**fields)
    assert answer.status == 400
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"response_format": {"type": "json_object"}}, {}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": PARAMETERS}}}, ARGUMENTS),
        ({"structured_outputs": {"json": PARAMETERS}}, ARGUMENTS),
        ({"structured_outputs": {"json": json.dumps(PARAMETERS)}}, ARGUMENTS),
        ({"structured_outputs": {"json_object": True}}, {}),
        ({"structured_outputs": {"choice": ["7", "8"]}}, 7),
    ],
)
def test_json_is_the_smallest_value(server: Server, fields: dict[str, Any], value: object) -> None:
    choice = server.chat(**fields).json["choices"][0]
    assert (json.loads(choice["message"]["content"]), choice["finish_reason"]) == (value, "stop")
    assert json.loads(server.complete(max_tokens=100, **fields).json["choices"][0]["text"]) == value


def test_a_limit_cuts_a_form(server: Server) -> None:
    choice = server.chat(tools=[WEATHER], max_tokens=2).json["choices"][0]
    assert (choice["finish_reason"], len(choice["message"]["content"])) == ("length", 8)


def test_several_answers_come_as_choices_whole_and_streamed(server: Server) -> None:
    fields: dict[str, Any] = {"prompt": ["one", "two"], "n": 2, "max_tokens": 3, "ignore_eos": True}
    answer = server.request("POST", "/v1/completions", fields).json
    texts = {choice["index"]: choice["text"] for choice in answer["choices"]}
    assert list(texts) == [0, 1, 2, 3]
    assert answer["usage"]["completion_tokens"] == 12
    with server.stream(**fields) as response:
        streamed = dict.fromkeys(texts, "")
        for data in events(response):
            if data != "[DONE]":
                choice = json.loads(data)["choices"][0]
                streamed[choice["index"]] += choice["text"]
    assert streamed == texts


def test_echo_and_logprobs_have_vllms_shape(server: Server) -> None:
    fields: dict[str, Any] = {"max_tokens": 2, "ignore_eos": True, "logprobs": 1}
    choice = server.complete(echo=True, **fields).json["choices"][0]
    told = choice["logprobs"]
    assert choice["text"].startswith("What is due?")
    assert list(told) == ["text_offset", "token_logprobs", "tokens", "top_logprobs"]
    assert "".join(told["tokens"]) == choice["text"]
    assert told["text_offset"] == [0, 4, 8, 12, 16]
    assert (told["token_logprobs"][0], told["top_logprobs"][0]) == (None, None)
    assert told["top_logprobs"][3] == {told["tokens"][3]: told["token_logprobs"][3]}
    chat = server.chat(max_tokens=2, ignore_eos=True, logprobs=True, top_logprobs=2).json["choices"][0]
    entries = chat["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == chat["message"]["content"]
    assert [len(entry["top_logprobs"]) for entry in entries] == [2, 2]
    assert bytes(entries[0]["bytes"]).decode() == entries[0]["token"]
