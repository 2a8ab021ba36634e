"""From the JSON of a completion request to what the engine needs, or the error that vLLM answers with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from ...tokens import Output, Prompt, fixed, generate
from ..errors import ApiError, bad_request, invalid, not_simulated, problem, unknown_model
from .fields import Body, get
from .forms import Form, form_of
from .prompts import has_text, of_completion, of_messages, texts_of
from .sampling import Kind, limit_of, sampling

_NO_SUFFIX = "suffix is only supported for models with FIM completion rendering"
_MOST_LOGPROBS = 20
"""vLLM's --max-logprobs."""
_MOST_ANSWERS, _MOST_TOKENS = 1024, 1 << 21
"""Of one request: each answer is written before the engine takes it, and nobody else is served meanwhile. vLLM has
16,384 to a prompt; a single answer may be as long as any context."""
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "best_of": (1,),
    "prompt_logprobs": (),
    "use_beam_search": (False,),
    "prompt_embeds": (),
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
    tool_parser: bool = False
    """--tool-call-parser is set."""
    automatic_tools: bool = False
    """--enable-auto-tool-choice is."""


@dataclass(frozen=True, slots=True)
class AnswerWanted:
    """One answer that the request asks for."""

    prompt: Prompt
    output: Output
    form: Form | None = None
    echo: str = ""
    """The prompt's text, where it is to be said first."""


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
    logprobs: int | None = None
    """How many of the most probable tokens are told with each; None for nothing at all."""
    has_text: bool = True
    """Whether a tokenizer has to read its prompt."""


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
    limits = [limit_of(kind, body, prompt.tokens, model.max_model_len, exact=exact) for prompt in prompts]
    number = sampling(body, stop, min(limits))
    for field, neutral in _NEUTRAL.items():
        if body.get(field) is not None and body[field] not in neutral:
            raise not_simulated(field)
    form = form_of(body, chat=kind == "chat", parser=model.tool_parser, automatic=model.automatic_tools)
    echoes = texts_of(body) if kind == "completion" and get(body, "echo", bool) else [""] * len(prompts)
    if len(prompts) * number > _MOST_ANSWERS:
        raise not_simulated("n")
    choices: list[AnswerWanted] = []
    tokens = 0
    for prompt, limit, echo in zip(prompts, limits, echoes, strict=True):
        for index in range(number):
            output = _output(body, prompt, limit, model, stop, form, index)
            choices.append(AnswerWanted(prompt, output, form, echo))
            tokens += output.tokens
            if tokens > _MOST_TOKENS:
                raise not_simulated("n")
    include_usage = bool(get(options, "include_usage", bool))
    continuous = include_usage and bool(get(options, "continuous_usage_stats", bool))
    total = sum(prompt.tokens for prompt in prompts)
    logprobs = _logprobs(kind, body)
    return CompletionRequest(kind, tuple(choices), total, stream, include_usage, continuous, logprobs, has_text(body))


def _output(
    body: Body, prompt: Prompt, limit: int, model: Model, stop: tuple[str, ...], form: Form | None, index: int
) -> Output:
    if form is not None:
        return fixed(form.text, limit)
    return generate(
        prompt,
        limit=limit,
        mean_tokens=model.mean_output_tokens,
        seed=(get(body, "seed", int) or 0) + index,
        stop=stop,
        min_tokens=get(body, "min_tokens", int) or 0,
        ignore_eos=bool(get(body, "ignore_eos", bool)),
    )


def _logprobs(kind: Kind, body: Body) -> int | None:
    if kind == "completion":
        count = get(body, "logprobs", int)
    elif not get(body, "logprobs", bool):
        if get(body, "top_logprobs", int):
            raise bad_request("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs")
        return None
    else:
        count = get(body, "top_logprobs", int) or 0
    if count is not None and not 0 <= count <= _MOST_LOGPROBS:
        raise bad_request(
            f"Requested sample logprobs of {count}, which is greater than max allowed: {_MOST_LOGPROBS}",
            "logprobs",
            count,
        )
    return None if count is None else int(count)


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
