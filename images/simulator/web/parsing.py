"""From the JSON of a completion request to what the engine needs, or the error that vLLM answers with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..tokens import Output, Prompt, generate, prompt_from_ids, prompt_from_text
from .errors import ApiError, bad_request, invalid, not_simulated, unknown_model

Kind = Literal["chat", "completion"]
Body = Mapping[str, Any]

_COMPLETION_DEFAULT_MAX_TOKENS = 16
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),
    "prompt_logprobs": (),
    "echo": (False,),
    "suffix": ("",),
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


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    kind: Kind
    prompt: Prompt
    output: Output
    stream: bool
    include_usage: bool
    continuous_usage: bool


def parse(kind: Kind, body: object, model: Model) -> CompletionRequest:
    """Raises ApiError. Fields that neither change what is simulated nor the answer's shape are ignored, as unknown
    ones are by vLLM: temperature, top_p, user, tools, metadata, …"""
    if not isinstance(body, dict):
        raise invalid("body", "dict_type", "Input should be a valid dictionary")
    name = _get(body, "model", str)
    stream = bool(_get(body, "stream", bool))
    options = _stream_options(body, stream)
    prompt = _chat_prompt(body, model.block_size) if kind == "chat" else _prompt(body, model.block_size)
    if name and name not in model.served_names:
        raise unknown_model(name)
    for field, neutral in _NEUTRAL.items():
        if body.get(field) is not None and body[field] not in neutral:
            raise not_simulated(field)
    output = generate(
        prompt,
        limit=_limit(kind, body, prompt.tokens, model.max_model_len),
        mean_tokens=model.mean_output_tokens,
        seed=_get(body, "seed", int) or 0,
        stop=_stop(body),
        min_tokens=_get(body, "min_tokens", int) or 0,
        ignore_eos=bool(_get(body, "ignore_eos", bool)),
    )
    include_usage = bool(_get(options, "include_usage", bool))
    continuous = include_usage and bool(_get(options, "continuous_usage_stats", bool))
    return CompletionRequest(kind, prompt, output, stream, include_usage, continuous)


_TYPES: Mapping[type, tuple[str, str]] = {
    str: ("string_type", "Input should be a valid string"),
    bool: ("bool_type", "Input should be a valid boolean"),
    int: ("int_type", "Input should be a valid integer"),
    list: ("list_type", "Input should be a valid list"),
    dict: ("dict_type", "Input should be a valid dictionary"),
}


def _get(body: Body, name: str, kind: type, location: str = "body") -> Any:
    """The field, None where it is missing or null."""
    value = body.get(name)
    if value is None or (isinstance(value, kind) and (kind is not int or not isinstance(value, bool))):
        return value
    raise invalid(f"{location}.{name}", *_TYPES[kind])


def _stream_options(body: Body, stream: bool) -> Body:
    options: Body = _get(body, "stream_options", dict) or {}
    if options and not stream:
        raise bad_request("Stream options can only be defined when `stream=True`.", "stream_options")
    return options


def _stop(body: Body) -> tuple[str, ...]:
    stop = body.get("stop")
    strings = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
        raise invalid("body.stop", *_TYPES[str])
    return tuple(strings)


def _limit(kind: Kind, body: Body, prompt_tokens: int, max_model_len: int) -> int:
    """How many tokens may be generated."""
    field, asked = "max_tokens", _get(body, "max_tokens", int)
    if kind == "chat" and (newer := _get(body, "max_completion_tokens", int)) is not None:
        field, asked = "max_completion_tokens", newer
    elif kind == "completion" and asked is None:
        asked = _COMPLETION_DEFAULT_MAX_TOKENS
    if prompt_tokens > max_model_len:
        raise bad_request(
            f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains "
            f"{prompt_tokens} input tokens, which exceeds this limit even without any output tokens. "
            "Please reduce the length of the input prompt.",
            "input_tokens",
            prompt_tokens,
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


def _chat_prompt(body: Body, block_size: int) -> Prompt:
    """The messages in a fixed template, so that a conversation's next turn starts with all of the last one."""
    messages = _get(body, "messages", list)
    if messages is None:
        raise invalid("body.messages", "missing", "Field required")
    if not messages:
        raise bad_request("messages must not be empty.", "messages")
    turns = [_turn(message, f"body.messages.{index}") for index, message in enumerate(messages)]
    return prompt_from_text("".join(turns) + "<|assistant|>\n", block_size)


def _turn(message: object, location: str) -> str:
    if not isinstance(message, dict):
        raise invalid(location, *_TYPES[dict])
    role = _get(message, "role", str, location)
    if role is None:
        raise invalid(f"{location}.role", "missing", "Field required")
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part(part, f"{location}.content.{index}") for index, part in enumerate(content))
    elif content is not None and not isinstance(content, str):
        raise invalid(f"{location}.content", *_TYPES[str])
    return f"<|{role}|>\n{content or ''}\n"


def _part(part: object, location: str) -> str:
    if not isinstance(part, dict):
        raise invalid(location, *_TYPES[dict])
    if part.get("type") != "text":
        raise not_simulated(location.removeprefix("body."))
    text = _get(part, "text", str, location)
    if text is None:
        raise invalid(f"{location}.text", "missing", "Field required")
    return str(text)


def _prompt(body: Body, block_size: int) -> Prompt:
    """A string, a list of one string, token ids, or a list of one list of them."""
    value = body.get("prompt")
    if value is None or value in ("", []):
        raise _no_prompt()
    if isinstance(value, list) and isinstance(value[0], str | list):
        if len(value) > 1:
            raise not_simulated("prompt")
        value = value[0]
    if not value:
        raise _no_prompt()
    if isinstance(value, str):
        return prompt_from_text(value, block_size)
    if isinstance(value, list) and all(type(item) is int and item >= 0 for item in value):
        return prompt_from_ids(value, block_size)
    raise invalid("body.prompt", *_TYPES[str])


def _no_prompt() -> ApiError:
    return bad_request("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
