"""How much is generated, and how: what vLLM's sampling parameters take. Pure."""

from __future__ import annotations

from typing import Literal

from ..errors import bad_request
from .fields import Body, get

Kind = Literal["chat", "completion"]

_COMPLETION_DEFAULT_MAX_TOKENS = 16
_MOST_ANSWERS = 16_384
"""VLLM_MAX_N_SEQUENCES where nobody sets it (vllm/envs.py of 0.32.0)."""
_GREEDY = 1e-5
"""A temperature below it means no sampling, as in vLLM."""


def sampling(body: Body, stop: tuple[str, ...], limit: int) -> int:
    """How many answers to each prompt. Raises what vLLM's sampling parameters refuse, in its order."""
    n = get(body, "n", int)
    temperature = get(body, "temperature", float)
    top_p = get(body, "top_p", float)
    min_tokens = get(body, "min_tokens", int) or 0
    if n is not None and n < 1:
        raise bad_request(f"n must be at least 1, got {n}.")
    if n is not None and n > _MOST_ANSWERS:
        raise bad_request(
            f"n must be at most {_MOST_ANSWERS}, got {n}. "
            "To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable."
        )
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
    return n or 1


def limit_of(kind: Kind, body: Body, prompt_tokens: int, max_model_len: int, *, exact: bool) -> int:
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
