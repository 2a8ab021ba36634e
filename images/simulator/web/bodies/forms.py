"""The form that a request gives its answer: a tool call, JSON by a schema, one of a list. Pure.

The simulated model says the smallest value that the form allows. Free to choose, it calls the first tool, until the
result of one is the last message: so an agent's loop ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import bad_request, invalid, not_simulated, problem
from .fields import Body, get, wrong
from .schema import NoSmallest, smallest

_NEITHER = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


@dataclass(frozen=True, slots=True)
class Form:
    """What the answer is, whatever the prompt."""

    text: str
    tool: str | None = None
    """The function that is called, with `text` as its arguments."""
    finish_reason: str = "stop"


def form_of(body: Body, *, chat: bool, parser: bool, automatic: bool) -> Form | None:
    """None where the model may say what it likes. `parser` and `automatic` are --tool-call-parser and
    --enable-auto-tool-choice. Raises ApiError."""
    if chat and (call := _call(body, parser=parser, automatic=automatic)):
        return call
    return _response_format(body) or _structured(body)


def _call(body: Body, *, parser: bool, automatic: bool) -> Form | None:
    tools: list[Any] = get(body, "tools", list) or []
    choice = body.get("tool_choice")
    choice = ("auto" if tools else "none") if choice is None else choice
    if choice == "none" or (choice == "auto" and not tools):
        return None
    if not tools:
        raise bad_request("When using `tool_choice`, `tools` must be set.")
    functions = {_name(tool, index): tool["function"] for index, tool in enumerate(tools)}
    if choice == "auto":
        if not (parser and automatic):
            raise bad_request(_NEITHER)
        if _answered(body):
            return None
        return _arguments(*next(iter(functions.items())), "tool_calls")
    if choice == "required":
        if not parser:
            raise bad_request('tool_choice="required" requires --tool-call-parser to be set')
        return _arguments(*next(iter(functions.items())), "tool_calls")
    named = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    if not isinstance(named, str):
        raise wrong("body.tool_choice", dict, choice)
    if named not in functions:
        raise bad_request("The tool specified in `tool_choice` does not match any of the specified `tools`")
    if not parser:
        raise bad_request(f'tool_choice=function "{named}" requires --tool-call-parser to be set')
    return _arguments(named, functions[named], "stop")


def _name(tool: object, index: int) -> str:
    location = f"body.tools.{index}.function"
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        raise invalid(location, problem("missing", location, "Field required", tool))
    if not isinstance(name := function.get("name"), str):
        raise invalid(f"{location}.name", problem("missing", f"{location}.name", "Field required", function))
    return name


def _answered(body: Body) -> bool:
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") == "tool"


def _arguments(name: str, function: Mapping[str, Any], finish_reason: str) -> Form:
    schema = function.get("parameters") or {"type": "object"}
    return Form(_json(schema, "tools"), name, finish_reason)


def _response_format(body: Body) -> Form | None:
    asked = get(body, "response_format", dict)
    if asked is None or asked.get("type") == "text":
        return None
    if asked.get("type") == "json_object":
        return Form("{}")
    if asked.get("type") != "json_schema":
        raise not_simulated("response_format")
    inner = asked.get("json_schema")
    if not isinstance(inner, dict) or "schema" not in inner:
        location = "body.response_format.json_schema"
        raise invalid(location, problem("missing", location, "Field required", asked))
    return Form(_json(inner["schema"], "response_format"))


def _structured(body: Body) -> Form | None:
    asked = get(body, "structured_outputs", dict)
    if asked is None:
        return None
    if (schema := asked.get("json")) is not None:
        return Form(_json(schema, "structured_outputs"))
    if choices := asked.get("choice"):
        return Form(str(choices[0]))
    if asked.get("json_object"):
        return Form("{}")
    raise not_simulated("structured_outputs")


def _json(schema: object, param: str) -> str:
    try:
        return json.dumps(smallest(json.loads(schema) if isinstance(schema, str) else schema), ensure_ascii=False)
    except NoSmallest as error:
        raise bad_request(f"The simulator has no answer for this schema: {error}.", param) from error
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise bad_request(f"This is no JSON schema: {error}.", param) from error
