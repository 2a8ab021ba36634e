"""Which bodies are refused, and how: the shapes are vLLM 0.32's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from images.simulator.web.bodies.parsing import CompletionRequest, Model, parse
from images.simulator.web.bodies.sampling import Kind
from images.simulator.web.errors import ApiError

MODEL = Model(("llama-70b", "alias"), max_model_len=100, block_size=16, mean_output_tokens=20)
HELLO = [{"role": "user", "content": "Hello"}]


def chat(**fields: Any) -> CompletionRequest:
    return parse("chat", {"messages": HELLO, **fields}, MODEL)


def completion(**fields: Any) -> CompletionRequest:
    return parse("completion", {"prompt": "Hello", **fields}, MODEL)


def refused(kind: Kind, body: object) -> dict[str, Any]:
    with pytest.raises(ApiError) as error:
        parse(kind, body, MODEL)
    inner: dict[str, Any] = error.value.to_json()["error"]
    assert inner.keys() == {"message", "type", "param", "code"}
    return inner


def test_a_chat_prompt_is_the_messages_in_a_fixed_template() -> None:
    rendered = "<|user|>\nHello\n<|assistant|>\n"
    assert chat().prompt_tokens == (len(rendered) + 3) // 4


def test_a_conversation_goes_on_from_the_prompt_before() -> None:
    long = {"role": "user", "content": "x" * 200}
    first = parse("chat", {"messages": [long]}, MODEL).choices[0].prompt
    turns = [long, {"role": "assistant", "content": "y" * 80}, {"role": "user", "content": "and then?"}]
    later = parse("chat", {"messages": turns}, MODEL).choices[0].prompt
    assert later.block_hashes[: len(first.block_hashes)] == first.block_hashes != ()


def test_text_parts_are_their_text_and_null_content_is_empty() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert parse("chat", {"messages": [{"role": "user", "content": parts}]}, MODEL).choices == chat().choices
    assert parse("chat", {"messages": [{"role": "assistant", "content": None}]}, MODEL).prompt_tokens == 8


@pytest.mark.parametrize("prompt", ["Hello", ["Hello"]])
def test_a_prompt_is_a_string_or_a_list_of_one(prompt: object) -> None:
    assert completion(prompt=prompt).choices == completion().choices


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2, 3]]])
def test_a_prompt_may_be_token_ids(prompt: object) -> None:
    assert completion(prompt=prompt).prompt_tokens == 3


def test_completions_have_16_tokens_unless_told_and_chats_all_that_fit() -> None:
    assert completion(ignore_eos=True).choices[0].output.tokens == 16
    assert completion(ignore_eos=True, max_tokens=7).choices[0].output.tokens == 7
    assert chat(ignore_eos=True).choices[0].output.tokens == 100 - chat().prompt_tokens


def test_max_completion_tokens_goes_before_max_tokens() -> None:
    assert chat(ignore_eos=True, max_tokens=9, max_completion_tokens=3).choices[0].output.tokens == 3


def test_an_answer_never_outgrows_the_context() -> None:
    assert completion(prompt=[1] * 90, ignore_eos=True, max_tokens=50).choices[0].output.tokens == 10


def test_every_served_name_and_none_at_all_is_the_model() -> None:
    assert completion(model="llama-70b") == completion(model="alias") == completion()


def test_streaming_options_are_read() -> None:
    got = chat(stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True})
    assert (got.stream, got.include_usage, got.continuous_usage) == (True, True, True)
    assert not chat(stream=True, stream_options={"continuous_usage_stats": True}).continuous_usage


def test_fields_without_effect_are_ignored() -> None:
    plain = chat()
    neutral = {"n": 1, "logprobs": False, "response_format": {"type": "text"}, "tool_choice": "auto", "tools": []}
    assert chat(temperature=0.2, top_p=0.9, user="u", made_up=1, **neutral) == plain


def test_an_unknown_model_is_404() -> None:
    assert refused("chat", {"messages": HELLO, "model": "gpt-4o"}) == {
        "message": "The model `gpt-4o` does not exist. Valid aliases: llama-70b, alias.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }


def test_a_prompt_longer_than_the_context_is_400() -> None:
    error = refused("completion", {"prompt": [1] * 101})
    assert (error["code"], error["type"], error["param"]) == (400, "BadRequestError", "input_tokens")
    assert error["message"].startswith(
        "This model's maximum context length is 100 tokens. However, your prompt contains 101 input tokens"
    )


def test_asking_for_more_than_the_context_is_400() -> None:
    error = refused("chat", {"messages": HELLO, "max_completion_tokens": 101})
    assert (error["code"], error["param"]) == (400, "max_completion_tokens")
    assert "cannot be greater than max_model_len=100" in error["message"]


@pytest.mark.parametrize("body", [{"prompt": "Hello", "max_tokens": 0}, {"prompt": [1] * 100}])
def test_no_room_for_a_single_token_is_400(body: dict[str, Any]) -> None:
    error = refused("completion", body)
    assert (error["code"], error["param"]) == (400, "max_tokens")
    assert "must be at least 1" in error["message"]


@pytest.mark.parametrize(
    ("kind", "body", "param"),
    [
        ("chat", [], "body"),
        ("chat", {}, "body.messages"),
        ("chat", {"messages": "Hello"}, "body.messages"),
        ("chat", {"messages": ["Hello"]}, "body.messages.0"),
        ("chat", {"messages": [{"content": "Hello"}]}, "body.messages.0.role"),
        ("chat", {"messages": [{"role": "user", "content": 7}]}, "body.messages.0.content"),
        ("chat", {"messages": [{"role": "user", "content": ["x"]}]}, "body.messages.0.content.0"),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "body.messages.0.content.0.text"),
        ("chat", {"messages": HELLO, "max_tokens": "x"}, "body.max_tokens"),
        ("chat", {"messages": HELLO, "max_tokens": 1.5}, "body.max_tokens"),
        ("chat", {"messages": HELLO, "stream": "perhaps"}, "body.stream"),
        ("chat", {"messages": HELLO, "stop": [1]}, "body.stop"),
        ("chat", {"messages": HELLO, "stop": {}}, "body.stop"),
        ("chat", {"messages": HELLO, "model": 7}, "body.model"),
        ("chat", {"messages": HELLO, "seed": 1.5}, "body.seed"),
        ("completion", {"prompt": 7}, "body.prompt"),
        ("completion", {"prompt": [1, "x"]}, "body.prompt"),
        ("completion", {"prompt": [-1]}, "body.prompt"),
    ],
)
def test_a_body_of_the_wrong_shape_is_400_and_names_the_place(kind: Kind, body: object, param: str) -> None:
    error = refused(kind, body)
    assert (error["code"], error["type"], error["param"]) == (400, "Bad Request", param)
    assert error["message"].startswith(("1 validation error:", "4 validation errors:"))


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": [""]}, {"prompt": [[]]}])
def test_a_missing_prompt_is_400(body: dict[str, Any]) -> None:
    assert (refused("completion", body)["code"], refused("completion", body)["param"]) == (400, "prompt")


def test_no_messages_is_400() -> None:
    message = "Cannot apply chat template to an empty conversation. Provide at least one message."
    assert refused("chat", {"messages": []})["message"] == message
    assert refused("completion", {"prompt": []})["message"] == "You must pass at least one prompt"


def test_numbers_and_booleans_are_taken_as_pydantic_takes_them() -> None:
    assert chat(max_tokens="9", stream="no", ignore_eos=1) == chat(max_tokens=9, stream=False, ignore_eos=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -1}, "temperature must be non-negative, got -1.0. (parameter=temperature, value=-1.0)"),
        ({"temperature": 5}, "temperature must be in [0, 2], got 5.0. (parameter=temperature, value=5.0)"),
        ({"top_p": 2}, "top_p must be in (0, 1], got 2.0. (parameter=top_p, value=2.0)"),
        ({"n": 0}, "n must be at least 1, got 0."),
        (
            {"n": 1_000_000_000},
            "n must be at most 16384, got 1000000000. To increase this limit, set the VLLM_MAX_N_SEQUENCES environment "
            "variable.",
        ),
        ({"stop": ""}, "stop cannot contain an empty string."),
        ({"min_tokens": 10, "max_tokens": 4}, "min_tokens must be less than or equal to max_tokens=4, got 10."),
        ({"prompt": [999_999]}, "Token id 999999 is out of vocabulary"),
    ],
)
def test_what_no_sampling_can_do_is_400_in_vllms_words(fields: dict[str, Any], message: str) -> None:
    """The words are of a running vLLM 0.32."""
    error = refused("completion", {"prompt": "Hello", **fields})
    assert (error["message"], error["type"], error["code"]) == (message, "BadRequestError", 400)


def test_more_stops_than_four_are_400_in_vllms_words() -> None:
    listed = "'input': '<list of 5 items>'"
    assert refused("completion", {"prompt": "x", "stop": list("abcde")})["message"] == (
        "2 validation errors:\n"
        f"  {{'type': 'string_type', 'loc': 'body.stop', 'msg': 'Input should be a valid string', {listed}}}\n"
        "  {'type': 'too_long', 'loc': 'body.stop', 'msg': 'List should have at most 4 items after validation, not 5', "
        f"{listed}, 'ctx': {{'field_type': 'List', 'max_length': 4, 'actual_length': 5}}}}"
    )


def test_stream_options_without_stream_is_400() -> None:
    error = refused("chat", {"messages": HELLO, "stream_options": {"include_usage": True}})
    assert (error["param"], error["code"]) == ("stream_options", 400)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("best_of", 3),
        ("use_beam_search", True),
        ("prompt_logprobs", 1),
        ("prompt_embeds", "x"),
        ("structured_outputs", {"regex": "a+"}),
        ("response_format", {"type": "structural_tag"}),
    ],
)
def test_what_is_not_simulated_is_refused_rather_than_left_out(field: str, value: object) -> None:
    error = refused("completion", {"prompt": "Hello", field: value})
    assert (error["code"], error["param"]) == (400, field)


def test_an_image_is_refused() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    error = refused("chat", {"messages": [{"role": "user", "content": [image]}]})
    assert error["param"] == "messages.0.content.0"


def test_several_prompts_and_answers_are_choices_in_order() -> None:
    got = completion(prompt=["one", "another"], n=2)
    texts = [wanted.output.text for wanted in got.choices]
    assert [wanted.prompt for wanted in got.choices] == [got.choices[0].prompt] * 2 + [got.choices[2].prompt] * 2
    assert len(set(texts)) == 4
    assert got.prompt_tokens == got.choices[0].prompt.tokens + got.choices[2].prompt.tokens


def test_several_answers_need_sampling() -> None:
    error = refused("chat", {"messages": HELLO, "n": 2, "temperature": 0})
    assert error["message"] == "n must be 1 when using greedy sampling, got 2."


@pytest.mark.parametrize("fields", [{"n": 1025}, {"n": 513, "prompt": ["a", "b"]}, {"n": 1000, "ignore_eos": True}])
def test_more_answers_than_a_simulator_should_write_are_refused(fields: dict[str, Any]) -> None:
    """The last one would be 1,000 times 8,000 tokens."""
    with pytest.raises(ApiError, match="The simulator does not support this") as told:
        parse("completion", {"prompt": "x", "max_tokens": 8000, **fields}, replace(MODEL, max_model_len=9000))
    assert (told.value.status, told.value.param) == (400, "n")


@pytest.mark.parametrize("field", ["max_tokens", "n", "min_tokens", "temperature", "top_p", "logprobs"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_beyond_every_range_is_400(field: str, sign: int) -> None:
    assert refused("completion", {"prompt": "x", field: sign * 10**400})["code"] == 400


def test_an_echo_is_the_prompts_text() -> None:
    assert completion(echo=True).choices[0].echo == "Hello"


def test_logprobs_are_a_number_for_texts_and_a_switch_for_chats() -> None:
    assert (completion().logprobs, completion(logprobs=0).logprobs, completion(logprobs=2).logprobs) == (None, 0, 2)
    assert (chat(logprobs=True).logprobs, chat(logprobs=True, top_logprobs=3).logprobs) == (0, 3)
    assert refused("chat", {"messages": HELLO, "top_logprobs": 2})["param"] == "top_logprobs"
    assert refused("completion", {"prompt": "x", "logprobs": 21})["param"] == "logprobs"
