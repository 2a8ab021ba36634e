"""How probable each token was, in the shapes of either kind. Pure.

The simulated model takes each of its 64 words with the same probability, so each token's is ln(1/64).
"""

from __future__ import annotations

import math
from typing import Any

from ..tokens import chunks, text_of_ids

_WORDS = 64
_LOGPROB = -math.log(_WORDS)


def of_chat(text: str, top: int) -> dict[str, Any]:
    content = [{**_entry(token), "top_logprobs": [_entry(word) for word in _top(token, top)]} for token in chunks(text)]
    return {"content": content}


def of_completion(text: str, top: int, start: int, echo: str) -> dict[str, Any]:
    """`start` is how many characters went before. Of an echoed prompt's first token nothing is known."""
    known = chunks(text)
    tokens = chunks(echo) + known
    values: list[float | None] = [_LOGPROB] * len(tokens)
    tops: list[dict[str, float] | None] = [dict.fromkeys(_top(token, max(1, top)), _LOGPROB) for token in tokens]
    if echo:
        values[0] = tops[0] = None
    offsets = [start]
    for token in tokens[:-1]:
        offsets.append(offsets[-1] + len(token))
    return {
        "text_offset": offsets[: len(tokens)],
        "token_logprobs": values,
        "tokens": tokens,
        "top_logprobs": tops,
    }


def _entry(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": _LOGPROB, "bytes": list(token.encode("utf-8", "surrogatepass"))}


def _top(token: str, count: int) -> list[str]:
    """The token itself, then others."""
    others = (text_of_ids([word]) for word in range(_WORDS))
    return [token, *(word for word in others if word != token)][:count]
