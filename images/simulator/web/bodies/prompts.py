"""Prompts: of messages, of texts, of token ids. Pure."""

from __future__ import annotations

import json

from ...tokens import Prompt, prompt_from_ids, prompt_from_text, text_of_ids
from ..errors import ApiError, bad_request, invalid, not_simulated, problem
from .fields import Body, get, missing, wrong


def has_text(body: Body) -> bool:
    """Whether a tokenizer has to read any of it."""
    prompt = body.get("prompt")
    return not isinstance(prompt, list) or any(isinstance(part, str) for part in prompt)


def of_messages(body: Body, block_size: int) -> Prompt:
    """The messages in a fixed template, so that a conversation's next turn starts with all of the last one."""
    messages = get(body, "messages", list)
    if messages is None:
        raise missing("body.messages", body)
    if not messages:
        raise bad_request("Cannot apply chat template to an empty conversation. Provide at least one message.")
    turns = [_turn(message, f"body.messages.{index}") for index, message in enumerate(messages)]
    if body.get("tools") and body.get("tool_choice") != "none":
        turns.insert(0, f"<|tools|>\n{json.dumps(body['tools'])}\n")
    return prompt_from_text("".join(turns) + "<|assistant|>\n", block_size)


def _turn(message: object, location: str) -> str:
    if not isinstance(message, dict):
        raise wrong(location, dict, message)
    role = get(message, "role", str, location)
    if role is None:
        raise missing(f"{location}.role", message)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part(part, f"{location}.content.{index}") for index, part in enumerate(content))
    elif content is not None and not isinstance(content, str):
        raise wrong(f"{location}.content", str, content)
    return f"<|{role}|>\n{content or ''}\n"


def _part(part: object, location: str) -> str:
    if not isinstance(part, dict):
        raise wrong(location, dict, part)
    if part.get("type") != "text":
        raise not_simulated(location.removeprefix("body."))
    text = get(part, "text", str, location)
    if text is None:
        raise missing(f"{location}.text", part)
    return str(text)


def of_completion(body: Body, block_size: int, vocabulary: int) -> list[Prompt]:
    """A text, several, token ids, or several lists of them."""
    value = body.get("prompt")
    if value is None or value == "":
        raise _no_prompt()
    if value == []:
        raise bad_request("You must pass at least one prompt")
    several = isinstance(value, list) and isinstance(value[0], str | list)
    return [_one(item, block_size, vocabulary) for item in (value if several else [value])]


def texts_of(body: Body) -> list[str]:
    """The texts of a completion's prompts, which were checked; of ids what /detokenize says."""
    value = body["prompt"]
    several = value if isinstance(value, list) and isinstance(value[0], str | list) else [value]
    return [item if isinstance(item, str) else text_of_ids(item) for item in several]


def _one(value: object, block_size: int, vocabulary: int) -> Prompt:
    if not value and isinstance(value, str | list):
        raise _no_prompt()
    if isinstance(value, str):
        return prompt_from_text(value, block_size)
    if isinstance(value, list) and all(type(item) is int and item >= 0 for item in value):
        if (largest := max(value)) >= vocabulary:
            raise bad_request(f"Token id {largest} is out of vocabulary")
        return prompt_from_ids(value, block_size)
    lists = problem("list_type", "body.prompt", "Input should be a valid list", value)
    text = problem("string_type", "body.prompt", "Input should be a valid string", value)
    raise invalid("body.prompt", lists, lists, text, lists)


def _no_prompt() -> ApiError:
    return bad_request("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
