"""The scheduler of one engine: continuous batching in steps, first come first served. Pure: no clock, no I/O.

A step is one forward pass. Every running sequence whose prompt is done gets one token; what is left of
--max-num-batched-tokens goes to prompts, in chunks, running ones first, then waiting ones while --max-num-seqs and the
KV cache allow. The head of the queue is never overtaken.

A step over `p` prompt tokens and `b` decoding sequences takes

    p / prefill  +  max(1 / sequence, b / decode)      seconds (the second term only if b > 0)

with `prefill` and `decode` the engine's throughputs and `sequence` the speed of a single sequence, all in tokens per
second: alone, a sequence decodes at `sequence`; beyond decode/sequence of them, they share `decode`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from .kvcache import KvCache, Lease
from .tokens import Prompt


@dataclass(frozen=True, slots=True)
class Speed:
    """Throughputs of one engine in tokens per second, all positive."""

    prefill: float
    decode: float
    sequence: float

    def step_s(self, prompt_tokens: int, decoding: int) -> float:
        decode_s = max(1 / self.sequence, decoding / self.decode) if decoding else 0.0
        return prompt_tokens / self.prefill + decode_s


@dataclass(eq=False, slots=True)
class Sequence:
    """A request in the engine. Times are the caller's clock, in seconds."""

    prompt: Prompt
    output_tokens: int
    """How many tokens it will generate, at least 1."""
    queued_s: float
    started_s: float | None = None
    computed: int = 0
    """Prompt tokens whose KV entries exist, cached ones included."""
    cached: int = 0
    """Prompt tokens found in the prefix cache."""
    generated: int = 0
    last_token_s: float | None = None
    aborted: bool = False
    lease: Lease | None = None

    @property
    def prefilling(self) -> bool:
        """Its first token has not come yet."""
        return self.generated == 0

    @property
    def finished(self) -> bool:
        return self.generated == self.output_tokens


@dataclass(frozen=True, slots=True)
class EngineStep:
    """A forward pass that has been scheduled and takes `duration_s`."""

    duration_s: float
    started: tuple[Sequence, ...]
    """Sequences that left the queue for it."""
    prefill: tuple[tuple[Sequence, int], ...]
    """Each with the number of prompt tokens computed in it."""
    decode: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """One token that a step produced."""

    sequence: Sequence
    since_s: float
    """When the sequence's token before it came; when it was queued, for the first."""
    at_s: float
    first: bool


@dataclass(slots=True)
class EngineCore:
    """One data-parallel rank. Drive it: `schedule`, wait the step's duration, `commit`, again while there is work."""

    speed: Speed
    cache: KvCache
    max_num_seqs: int
    max_num_batched_tokens: int
    waiting: deque[Sequence] = field(default_factory=deque)
    running: list[Sequence] = field(default_factory=list)

    @property
    def unfinished(self) -> int:
        return len(self.waiting) + len(self.running)

    @property
    def queued_tokens(self) -> int:
        """Prompt tokens of requests without a first token, as vLLM counts for --max-num-queued-tokens."""
        return sum(s.prompt.tokens for s in (*self.waiting, *self.running) if s.prefilling)

    def add(self, sequence: Sequence) -> None:
        """Queues it. It must fit the empty cache, or it would block the queue for ever: ValueError."""
        if self.cache.blocks(sequence.prompt.tokens + sequence.output_tokens) > self.cache.capacity:
            raise ValueError("the sequence is longer than the KV cache")
        self.waiting.append(sequence)

    def abort(self, sequence: Sequence) -> None:
        """Takes it out wherever it is and frees its blocks. Does nothing for one that has finished."""
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        else:
            return
        sequence.aborted = True
        self._free(sequence)

    def schedule(self, now_s: float) -> EngineStep | None:
        """The next step, or None when there is nothing to do."""
        decode = tuple(s for s in self.running if not s.prefilling)
        budget = self.max_num_batched_tokens - len(decode)
        prefill: list[tuple[Sequence, int]] = []
        for sequence in self.running:
            if sequence.prefilling and budget > 0:
                budget -= _chunk(sequence, budget, prefill)
        started: list[Sequence] = []
        while self.waiting and budget > 0 and len(self.running) < self.max_num_seqs and self._start(now_s):
            sequence = self.running[-1]
            started.append(sequence)
            budget -= _chunk(sequence, budget, prefill)
        if not decode and not prefill:
            return None
        duration_s = self.speed.step_s(sum(tokens for _, tokens in prefill), len(decode))
        return EngineStep(duration_s, tuple(started), tuple(prefill), decode)

    def commit(self, step: EngineStep, now_s: float) -> list[Token]:
        """What `step` produced, at `now_s`. Sequences aborted meanwhile produce nothing; finished ones are freed."""
        produced = list(step.decode)
        for sequence, tokens in step.prefill:
            sequence.computed += tokens
            if sequence.computed == sequence.prompt.tokens:
                produced.append(sequence)
        events = [self._produce(sequence, now_s) for sequence in produced if not sequence.aborted]
        for sequence in produced:
            if sequence.finished and not sequence.aborted:
                self.running.remove(sequence)
                self._free(sequence)
        return events

    def _start(self, now_s: float) -> bool:
        """Moves the head of the queue to `running` if the cache has room for it."""
        sequence = self.waiting[0]
        lease = self.cache.take(sequence.prompt.block_hashes, sequence.prompt.tokens + sequence.output_tokens)
        if lease is None:
            return False
        sequence.lease = lease
        # Only whole blocks, and never the last prompt token: its logits are needed for the first output token.
        usable = (sequence.prompt.tokens - 1) // self.cache.block_size
        sequence.cached = min(lease.hit_blocks, usable) * self.cache.block_size
        sequence.computed = sequence.cached
        sequence.started_s = now_s
        self.running.append(self.waiting.popleft())
        return True

    def _produce(self, sequence: Sequence, now_s: float) -> Token:
        since_s = sequence.queued_s if sequence.last_token_s is None else sequence.last_token_s
        sequence.generated += 1
        sequence.last_token_s = now_s
        return Token(sequence, since_s, now_s, first=sequence.generated == 1)

    def _free(self, sequence: Sequence) -> None:
        if sequence.lease is not None:
            self.cache.give_back(sequence.lease)
            sequence.lease = None


def _chunk(sequence: Sequence, budget: int, prefill: list[tuple[Sequence, int]]) -> int:
    """Gives a sequence's prompt as much of the budget as it needs; returns how much that is."""
    tokens = min(budget, sequence.prompt.tokens - sequence.computed)
    prefill.append((sequence, tokens))
    return tokens
