"""The tokenizer and the text of the simulated model. Pure.

One rule holds on both sides: **a token is four characters** (of a text's Unicode characters, rounded up, at least one
token). Generated tokens are four characters each too, so a completion sent back as a prompt counts the same.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

CHARACTERS_PER_TOKEN = 4

_VOCABULARY = (
    "add all and any are ask bid big bit box buy can cap cut day due end far fee fit for get got has how job "
    "key lag law lot low map may mid mix net new not now old one our out own pay per put ran raw row run set "
    "sum tax ten the tie top try two use was way yes "
)
"""64 tokens, a word of three letters and a space each, so that six random bits choose one."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine knows of a prompt: its length, its blocks' hashes, and a digest; never the text."""

    tokens: int
    block_hashes: tuple[int, ...]
    """One for each *full* block, each covering all blocks before it, so that equal prefixes have equal hashes."""
    digest: bytes


@dataclass(frozen=True, slots=True)
class Output:
    """A completion, known in full when the request arrives; the engine only decides when its tokens appear."""

    text: str
    """What the client sees in the end: cut before a stop string."""
    tokens: int
    """How many are generated, those of a stop string included. At least 1."""
    finish_reason: str
    """"stop" or "length"."""
    stop_reason: str | None
    """The stop string that ended it."""

    def between(self, first: int, last: int) -> str:
        """The text that tokens `first` (inclusive) to `last` (exclusive) add."""
        return self.text[first * CHARACTERS_PER_TOKEN : last * CHARACTERS_PER_TOKEN]


def prompt_from_text(text: str, block_size: int) -> Prompt:
    """`block_size` in tokens, as vLLM's --block-size."""
    width = block_size * CHARACTERS_PER_TOKEN
    tokens = max(1, -(-len(text) // CHARACTERS_PER_TOKEN))
    chunks = (text[start : start + width] for start in range(0, len(text), width))
    return _prompt(tokens, block_size, (chunk.encode("utf-8", "surrogatepass") for chunk in chunks))


def prompt_from_ids(token_ids: Sequence[int], block_size: int) -> Prompt:
    """A prompt given as token ids (`/v1/completions` allows it): one token each."""
    starts = range(0, len(token_ids), block_size)
    chunks = (",".join(map(str, token_ids[start : start + block_size])).encode() for start in starts)
    return _prompt(max(1, len(token_ids)), block_size, chunks)


def token_ids(text: str, vocabulary: int) -> list[int]:
    """What /tokenize says: an id of its own for each word of the simulated model, and one by hash for other chunks."""
    words = len(_VOCABULARY) // CHARACTERS_PER_TOKEN
    return [
        _known(chunk) or words + zlib.crc32(chunk.encode("utf-8", "surrogatepass")) % (vocabulary - words)
        for chunk in chunks(text)
    ]


def text_of_ids(ids: Iterable[int]) -> str:
    """What /detokenize says: the words of the simulated model; ids beyond them are taken modulo their number."""
    starts = (token * CHARACTERS_PER_TOKEN % len(_VOCABULARY) for token in ids)
    return "".join(_VOCABULARY[start : start + CHARACTERS_PER_TOKEN] for start in starts)


def chunks(text: str) -> list[str]:
    """A text's tokens."""
    return [text[start : start + CHARACTERS_PER_TOKEN] for start in range(0, len(text), CHARACTERS_PER_TOKEN)]


def _known(chunk: str) -> int | None:
    start = _VOCABULARY.find(chunk) if len(chunk) == CHARACTERS_PER_TOKEN else -1
    return start // CHARACTERS_PER_TOKEN if start > 0 and start % CHARACTERS_PER_TOKEN == 0 else None


def _prompt(tokens: int, block_size: int, chunks: Iterable[bytes]) -> Prompt:
    chain: list[bytes] = []
    previous = b""
    for chunk in chunks:
        previous = hashlib.blake2b(chunk, key=previous, digest_size=8).digest()
        chain.append(previous)
    full = islice(chain, tokens // block_size)
    return Prompt(tokens, tuple(int.from_bytes(link, "big") for link in full), previous)


def generate(
    prompt: Prompt,
    *,
    limit: int,
    mean_tokens: int,
    seed: int = 0,
    stop: Sequence[str] = (),
    min_tokens: int = 0,
    ignore_eos: bool = False,
) -> Output:
    """The completion of `prompt`: the same for the same arguments, on every machine.

    The model would end by itself after a number of tokens that depends on prompt and seed, spread evenly over
    [mean/2, 3·mean/2), not below `min_tokens`; `limit` (at least 1) cuts it, `ignore_eos` makes it run to the limit.
    """
    source = hashlib.blake2b(prompt.digest + str(seed).encode()).digest()
    natural = max(1, min_tokens, mean_tokens // 2 + int.from_bytes(source[:4], "big") % mean_tokens)
    ended = natural <= limit and not ignore_eos
    count = natural if ended else limit
    picks = (byte % 64 * CHARACTERS_PER_TOKEN for byte in hashlib.shake_128(source).digest(count))
    text = "".join(_VOCABULARY[pick : pick + CHARACTERS_PER_TOKEN] for pick in picks)
    if ended:
        text = text[:-1] + "."
    found = _first_stop(text, stop)
    if found is None:
        return Output(text, count, "stop" if ended else "length", None)
    start, stop_reason = found
    used = -(-(start + len(stop_reason)) // CHARACTERS_PER_TOKEN)
    return Output(text[:start], used, "stop", stop_reason)


def fixed(text: str, limit: int) -> Output:
    """A completion whose text is given, cut at `limit` tokens."""
    count = max(1, -(-len(text) // CHARACTERS_PER_TOKEN))
    if count > limit:
        return Output(text[: limit * CHARACTERS_PER_TOKEN], limit, "length", None)
    return Output(text, count, "stop", None)


def _first_stop(text: str, stop: Sequence[str]) -> tuple[int, str] | None:
    """Where the earliest completed stop string starts, as a decoder that checks after every token would find it."""
    hits = [(start, string) for string in stop if string and (start := text.find(string)) >= 0]
    return min(hits, key=lambda hit: hit[0] + len(hit[1]), default=None)
