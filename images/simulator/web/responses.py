"""The JSON of vLLM's answers, whole and streamed, null fields included. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import VERSION
from .bodies.sampling import Kind

FINGERPRINT = f"vllm-{VERSION}"
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
DONE = b"data: [DONE]\n\n"
_NAMES = {
    "chat": ("chatcmpl", "chat.completion", "chat.completion.chunk"),
    "completion": ("cmpl", *["text_completion"] * 2),
}
_OF_A_MESSAGE = {"refusal": None, "annotations": None, "audio": None, "function_call": None}
_OF_A_CHAT = {"prompt_logprobs": None, "prompt_token_ids": None, "prompt_text": None}
_OF_ANY = {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}


@dataclass(frozen=True, slots=True)
class TokenUsage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None
    """None unless --enable-prompt-tokens-details, as in vLLM."""

    def to_json(self) -> dict[str, Any]:
        """Of a whole answer."""
        return {**self._counts(), "prompt_tokens_details": self._details(), "completion_tokens_details": None}

    def of_an_event(self) -> dict[str, Any]:
        """A stream leaves out what is null."""
        details = self._details()
        return self._counts() if details is None else {**self._counts(), "prompt_tokens_details": details}

    def _counts(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "completion_tokens": self.completion_tokens,
        }

    def _details(self) -> dict[str, int] | None:
        return None if self.cached_tokens is None else {"cached_tokens": self.cached_tokens}


@dataclass(frozen=True, slots=True)
class End:
    """Why a choice ended: what `finish_reason` and `stop_reason` say."""

    finish_reason: str
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """All answers to one request. `created` is Unix time in seconds."""

    kind: Kind
    request_id: str
    created: int
    model: str

    @property
    def id(self) -> str:
        return f"{_NAMES[self.kind][0]}-{self.request_id}"

    def whole(self, choices: Sequence[Mapping[str, Any]], usage: TokenUsage) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        body = self._envelope(_NAMES[self.kind][1], choices)
        body |= {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": usage.to_json()}
        return body | (_OF_A_CHAT if self.kind == "chat" else {}) | _OF_ANY

    def choice(self, index: int, text: str, end: End, logprobs: object = None) -> dict[str, Any]:
        """One of a whole answer's, with text."""
        return self._choice(index, {"content": text}, end, logprobs)

    def call(self, index: int, text: str | None, call: Mapping[str, Any], end: End) -> dict[str, Any]:
        """One of a whole chat's, with a tool call: `id`, `type`, `function`."""
        return self._choice(index, {"content": text, "tool_calls": [call]}, end, None)

    def _choice(self, index: int, said: Mapping[str, Any], end: End, logprobs: object) -> dict[str, Any]:
        reasons = {"logprobs": logprobs, "finish_reason": end.finish_reason, "stop_reason": end.stop_reason}
        if self.kind == "chat":
            calls = {"tool_calls": said["tool_calls"]} if "tool_calls" in said else {}
            message = {"role": "assistant", "content": said["content"], **_OF_A_MESSAGE, **calls, "reasoning": None}
            return {"index": index, "message": message, **reasons, "token_ids": None, "routed_experts": None}
        nulls = {"token_ids": None, "prompt_logprobs": None, "prompt_token_ids": None, "routed_experts": None}
        return {"index": index, "text": said["content"], **reasons, **nulls}

    def role(self, index: int, usage: TokenUsage | None) -> bytes:
        """A choice's first event in a chat stream, sent when the prompt has been computed; completions have none."""
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        body = self._envelope(_NAMES["chat"][2], [choice]) | {"prompt_token_ids": None, "prompt_text": None}
        return sse(body if usage is None else body | {"usage": usage.of_an_event()})

    def piece(self, index: int, delta: Mapping[str, Any], usage: TokenUsage | None, logprobs: object = None) -> bytes:
        """What was generated since the last event. `usage` where the client asked for continuous statistics."""
        return sse(self._event(index, delta, None, usage, logprobs))

    def last(
        self,
        index: int,
        delta: Mapping[str, Any],
        end: End,
        usage: TokenUsage | None,
        *,
        logprobs: object = None,
        usage_follows: bool = False,
    ) -> bytes:
        """The event that says why a choice ended, with its last text. The last one of all carries the fingerprint."""
        body = self._event(index, delta, end, usage, logprobs)
        return sse(body if usage_follows else body | {"system_fingerprint": FINGERPRINT})

    def usage(self, usage: TokenUsage) -> bytes:
        """The event that `stream_options.include_usage` asks for, after the last text: no choices."""
        body = self._envelope(_NAMES[self.kind][2], [])
        return sse(body | {"usage": usage.of_an_event(), "system_fingerprint": FINGERPRINT})

    def _event(
        self, index: int, delta: Mapping[str, Any], end: End | None, usage: TokenUsage | None, logprobs: object
    ) -> dict[str, Any]:
        reason = {"logprobs": logprobs, "finish_reason": end.finish_reason if end else None}
        stop = {"stop_reason": end.stop_reason if end else None}
        choice: dict[str, Any]
        if self.kind == "chat":
            choice = {"index": index, "delta": delta, **reason, **(stop if end else {}), "token_ids": None}
        else:
            nulls = {"prompt_token_ids": None, "token_ids": None}
            choice = {"index": index, "text": delta["content"], **reason, **stop, **nulls}
        body = self._envelope(_NAMES[self.kind][2], [choice])
        return body if usage is None else body | {"usage": usage.of_an_event()}

    def _envelope(self, kind: str, choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}


def sse(body: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + _compact(body).encode() + b"\n\n"


def failure(body: Mapping[str, Any]) -> bytes:
    """The end of a stream that failed after its 200. vLLM writes it with spaces, unlike all else."""
    return b"data: " + json.dumps(body).encode() + b"\n\n" + DONE
