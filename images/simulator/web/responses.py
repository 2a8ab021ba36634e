"""The JSON of vLLM's answers, whole and streamed. Pure.

Fields that are null in every answer of the simulator are left out where a client cannot tell (vLLM's extensions to
the OpenAI schema); the OpenAI ones are all there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .. import VERSION
from .parsing import Kind

FINGERPRINT = f"vllm-{VERSION}"
DONE = b"data: [DONE]\n\n"
_NAMES = {
    "chat": ("chatcmpl", "chat.completion", "chat.completion.chunk"),
    "completion": ("cmpl", *["text_completion"] * 2),
}


@dataclass(frozen=True, slots=True)
class TokenUsage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None
    """None unless --enable-prompt-tokens-details, as in vLLM."""

    def to_json(self) -> dict[str, Any]:
        details = None if self.cached_tokens is None else {"cached_tokens": self.cached_tokens}
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "completion_tokens": self.completion_tokens,
            "prompt_tokens_details": details,
        }


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

    def whole(self, text: str, finish_reason: str, stop_reason: str | None, usage: TokenUsage) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        choice: dict[str, Any] = {"index": 0}
        if self.kind == "chat":
            choice["message"] = {"role": "assistant", "content": text, "refusal": None, "annotations": None}
        else:
            choice["text"] = text
        choice |= {"logprobs": None, "finish_reason": finish_reason, "stop_reason": stop_reason}
        body = self._envelope(_NAMES[self.kind][1], [choice])
        return body | {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": usage.to_json()}

    def role(self, usage: TokenUsage | None) -> bytes | None:
        """The first event of a chat stream, sent when the prompt has been computed; completions have none."""
        return self._event({"role": "assistant", "content": ""}, None, None, usage) if self.kind == "chat" else None

    def piece(self, text: str, usage: TokenUsage | None) -> bytes:
        """Text that was generated since the last event. `usage` where the client asked for continuous statistics."""
        return self._event({"content": text}, None, None, usage)

    def last(self, text: str, finish_reason: str, stop_reason: str | None, usage: TokenUsage | None) -> bytes:
        """The event that says why it ended, with the last text."""
        return self._event({"content": text}, finish_reason, stop_reason, usage)

    def usage(self, usage: TokenUsage) -> bytes:
        """The event that `stream_options.include_usage` asks for, after the last text: no choices."""
        counts = {key: value for key, value in usage.to_json().items() if value is not None}
        body = self._envelope(_NAMES[self.kind][2], [])
        return _sse(body | {"usage": counts, "system_fingerprint": FINGERPRINT})

    def _event(
        self, delta: dict[str, str], finish_reason: str | None, stop_reason: str | None, usage: TokenUsage | None
    ) -> bytes:
        content: dict[str, Any] = {"delta": delta} if self.kind == "chat" else {"text": delta["content"]}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": finish_reason}
        if finish_reason is not None or self.kind == "completion":
            choice["stop_reason"] = stop_reason
        body = self._envelope(_NAMES[self.kind][2], [choice])
        return _sse(body if usage is None else body | {"usage": usage.to_json()})

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}


def _sse(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"
