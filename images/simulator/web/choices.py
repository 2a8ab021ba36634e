"""One choice of an answer, as far as it has been said: text or a tool call, whole and streamed. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from .bodies.parsing import AnswerWanted
from .bodies.sampling import Kind
from .logprobs import of_chat, of_completion
from .responses import End, TokenUsage, Writer


@dataclass(frozen=True, slots=True)
class SaidChoice:
    wanted: AnswerWanted
    kind: Kind
    logprobs: int | None
    call_id: str = field(default_factory=lambda: f"chatcmpl-tool-{uuid.uuid4().hex[16:]}")

    @property
    def end(self) -> End:
        output, form = self.wanted.output, self.wanted.form
        whole = form is not None and output.finish_reason == "stop"
        return End(form.finish_reason if form and whole else output.finish_reason, output.stop_reason)

    def whole(self, writer: Writer, index: int, tokens: int, end: End) -> dict[str, Any]:
        """Of a whole answer, after so many tokens. A call that was cut is told as the text that it is."""
        text, tool = self.wanted.output.between(0, tokens), self.wanted.form.tool if self.wanted.form else None
        if tool is not None and end.finish_reason not in ("length", "abort"):
            return writer.call(index, None, self._call({"name": tool, "arguments": text}), end)
        return writer.choice(index, self.wanted.echo + text, end, self._logprobs(text, 0))

    def events(
        self, writer: Writer, index: int, before: int, now: int, usage: TokenUsage | None, *, usage_follows: bool
    ) -> bytes:
        """Of a stream, from token `before` to `now`."""
        output, first = self.wanted.output, before == 0
        text = output.between(before, now)
        head = writer.role(index, usage) if first and self.kind == "chat" else b""
        if self.wanted.form and (tool := self.wanted.form.tool):
            if first:
                name = {"index": 0, **self._call({"name": tool, "arguments": ""})}
                head += writer.piece(index, {"tool_calls": [name]}, usage)
            delta: dict[str, Any] = {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
            logprobs = None
        else:
            delta = {"content": (self.wanted.echo if first else "") + text}
            logprobs = self._logprobs(text, before)
        if now == output.tokens:
            return head + writer.last(index, delta, self.end, usage, logprobs=logprobs, usage_follows=usage_follows)
        return head + (writer.piece(index, delta, usage, logprobs) if text else b"")

    def _call(self, function: dict[str, str]) -> dict[str, Any]:
        return {"id": self.call_id, "type": "function", "function": function}

    def _logprobs(self, text: str, before: int) -> dict[str, Any] | None:
        if self.logprobs is None:
            return None
        if self.kind == "chat":
            return of_chat(text, self.logprobs)
        start = 0 if before == 0 else len(self.wanted.echo) + len(self.wanted.output.between(0, before))
        return of_completion(text, self.logprobs, start, self.wanted.echo if before == 0 else "")
