"""From the JSON of a completion request to what the engine needs, or the error that vLLM answers with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from ..tokens import Output, Prompt, generate
from .errors import ApiError, bad_request, invalid, not_simulated, problem, unknown_model
from .fields import Body, get
from .prompts import of_completion, of_messages

Kind = Literal["chat", "completion"]

_COMPLETION_DEFAULT_MAX_TOKENS = 16
_NO_SUFFIX = "suffix is only supported for models with FIM completion rendering"
_GREEDY = 1e-5
"""A temperature below it means no sampling, as in vLLM."""
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),
    "prompt_logprobs": (),
    "echo": (False,),
    "use_beam_search": (False,),
    "prompt_embeds": (),
    "tool_choice": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "structured_outputs": (),
}
"""Fields whose effect is not simulated, with the values (besides null) that ask for nothing."""


@dataclass(frozen=True, slots=True)
class Model:
    """What requests are checked against."""

    served_names: tuple[str, ...]
    """The first one is what responses and metrics say."""
    max_model_len: int
    block_size: int
    mean_output_tokens: int
    vocabulary: int = 128_256


@dataclass(frozen=True, slots=True)
class AnswerWanted:
    """One answer that the request asks for."""

    prompt: Prompt
    output: Output


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    kind: Kind
    choices: tuple[AnswerWanted, ...]
    """In the order of their indices, at least one."""
    prompt_tokens: int
    """Of all prompts; those of several choices for one prompt count once."""
    stream: bool
    include_usage: bool
    continuous_usage: bool


def parse(kind: Kind, body: object, model: Model) -> CompletionRequest:
    """Raises ApiError. Fields that neither change what is simulated nor the answer's shape are ignored, as unknown
    ones are by vLLM: user, metadata, …"""
    if body is None:
        raise invalid("body", problem("missing", "body", "Field required", None))
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise invalid("body", problem("model_attributes_type", "body", message, body))
    name = get(body, "model", str)
    stream = bool(get(body, "stream", bool))
    options = _stream_options(body, stream)
    stop = _stop(body)
    if name and name not in model.served_names:
        raise unknown_model(name, model.served_names)
    if kind == "chat":
        prompts = [of_messages(body, model.block_size)]
    else:
        prompts = of_completion(body, model.block_size, model.vocabulary)
    if kind == "completion" and body.get("suffix"):
        raise ApiError(HTTPStatus.BAD_REQUEST, "BadRequestError", _NO_SUFFIX, "suffix")
    exact = kind == "completion" and not isinstance(body["prompt"], str)
    limits = [_limit(kind, body, prompt.tokens, model.max_model_len, exact=exact) for prompt in prompts]
    _sampling(body, stop, min(limits))
    for field, neutral in _NEUTRAL.items():
        if body.get(field) is not None and body[field] not in neutral:
            raise not_simulated(field)
    if len(prompts) > 1:
        raise not_simulated("prompt")
    choices = tuple(
        AnswerWanted(prompt, _output(body, prompt, limit, model, stop))
        for prompt, limit in zip(prompts, limits, strict=True)
    )
    include_usage = bool(get(options, "include_usage", bool))
    continuous = include_usage and bool(get(options, "continuous_usage_stats", bool))
    total = sum(prompt.tokens for prompt in prompts)
    return CompletionRequest(kind, choices, total, stream, include_usage, continuous)


def _output(body: Body, prompt: Prompt, limit: int, model: Model, stop: tuple[str, ...]) -> Output:
    return generate(
        prompt,
        limit=limit,
        mean_tokens=model.mean_output_tokens,
        seed=get(body, "seed", int) or 0,
        stop=stop,
        min_tokens=get(body, "min_tokens", int) or 0,
        ignore_eos=bool(get(body, "ignore_eos", bool)),
    )


def _stream_options(body: Body, stream: bool) -> Body:
    options: Body = get(body, "stream_options", dict) or {}
    if options and not stream:
        raise bad_request("Stream options can only be defined when `stream=True`.", "stream_options")
    return options


_MOST_STOPS = 4


def _stop(body: Body) -> tuple[str, ...]:
    stop = body.get("stop")
    strings = [] if stop is None else [stop] if isinstance(stop, str) else stop
    no_text = problem("string_type", "body.stop", "Input should be a valid string", stop)
    if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
        raise invalid("body.stop", no_text)
    if len(strings) > _MOST_STOPS:
        message = f"List should have at most {_MOST_STOPS} items after validation, not {len(strings)}"
        counts: dict[str, object] = {"field_type": "List", "max_length": _MOST_STOPS, "actual_length": len(strings)}
        raise invalid("body.stop", no_text, problem("too_long", "body.stop", message, stop, **counts))
    return tuple(strings)


def _sampling(body: Body, stop: tuple[str, ...], limit: int) -> None:
    """What vLLM's sampling parameters refuse, in its order."""
    n = get(body, "n", int)
    temperature = get(body, "temperature", float)
    top_p = get(body, "top_p", float)
    min_tokens = get(body, "min_tokens", int) or 0
    if n is not None and n < 1:
        raise bad_request(f"n must be at least 1, got {n}.")
    if temperature is not None and temperature < 0:
        raise bad_request(f"temperature must be non-negative, got {temperature}.", "temperature", temperature)
    if temperature is not None and temperature > 2:
        raise bad_request(f"temperature must be in [0, 2], got {temperature}.", "temperature", temperature)
    if top_p is not None and not 0 < top_p <= 1:
        raise bad_request(f"top_p must be in (0, 1], got {top_p}.", "top_p", top_p)
    if min_tokens < 0:
        raise bad_request(f"min_tokens must be greater than or equal to 0, got {min_tokens}.")
    if min_tokens > limit:
        raise bad_request(f"min_tokens must be less than or equal to max_tokens={limit}, got {min_tokens}.")
    if "" in stop:
        raise bad_request("stop cannot contain an empty string.")
    if temperature is not None and temperature < _GREEDY and n is not None and n > 1:
        raise bad_request(f"n must be 1 when using greedy sampling, got {n}.")


def _limit(kind: Kind, body: Body, prompt_tokens: int, max_model_len: int, *, exact: bool) -> int:
    """How many tokens may be generated. vLLM stops tokenizing a text beyond the context: `exact` only for ids."""
    field, asked = "max_tokens", get(body, "max_tokens", int)
    if kind == "chat" and (newer := get(body, "max_completion_tokens", int)) is not None:
        field, asked = "max_completion_tokens", newer
    elif kind == "completion" and asked is None:
        asked = _COMPLETION_DEFAULT_MAX_TOKENS
    if prompt_tokens > max_model_len:
        counted = prompt_tokens if exact else max_model_len + 1
        raise bad_request(
            f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains "
            f"{'' if exact else 'at least '}{counted} input tokens, which exceeds this limit even without any output "
            "tokens. Please reduce the length of the input prompt.",
            "input_tokens",
            counted,
        )
    if asked is not None and asked > max_model_len:
        raise bad_request(
            f"{field}={asked} cannot be greater than max_model_len={max_model_len}. "
            "Please request fewer output tokens.",
            field,
            asked,
        )
    room = max_model_len - prompt_tokens
    limit = room if asked is None else min(room, int(asked))
    if limit < 1:
        raise bad_request(f"max_tokens must be at least 1, got {limit}.", "max_tokens", limit)
    return limit
