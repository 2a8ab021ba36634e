from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from images.simulator.engine import EngineCore, EngineStep, Sequence, Speed, Token
from images.simulator.kvcache import KvCache
from images.simulator.tokens import prompt_from_ids

BLOCK = 4
SPEED = Speed(prefill=1000.0, decode=200.0, sequence=50.0)


def engine(*, blocks: int = 1000, seqs: int = 8, batched: int = 64, prefix_caching: bool = True) -> EngineCore:
    return EngineCore(SPEED, KvCache(blocks, BLOCK, prefix_caching=prefix_caching), seqs, batched)


def sequence(prompt: int, output: int, *, family: int = 0, queued_s: float = 0.0) -> Sequence:
    """Prompts of one family are prefixes of one another."""
    return Sequence(prompt_from_ids([family] * prompt, BLOCK), output, queued_s)


def drive(engine: EngineCore, now_s: float = 0.0) -> list[Token]:
    """Steps in virtual time until nothing is left to do."""
    tokens: list[Token] = []
    while step := engine.schedule(now_s):
        now_s += step.duration_s
        tokens += engine.commit(step, now_s)
    return tokens


def test_alone_a_request_takes_prefill_and_then_one_sequence_step_a_token() -> None:
    one = engine(batched=1000)
    one.add(sequence(100, 11))
    tokens = drive(one)
    assert tokens[0].at_s == pytest.approx(100 / 1000)
    assert tokens[-1].at_s == pytest.approx(100 / 1000 + 10 / 50)
    assert [token.first for token in tokens] == [True] + [False] * 10


@pytest.mark.parametrize("batch", [1, 4, 5, 8])
def test_beyond_decode_over_sequence_a_batch_shares_the_decode_throughput(batch: int) -> None:
    several = engine(batched=1000)
    for family in range(batch):
        several.add(sequence(1, 21, family=family))
    tokens = drive(several)
    assert tokens[-1].at_s == pytest.approx(batch / 1000 + 20 * max(1 / 50, batch / 200))


def test_a_long_prompt_is_computed_in_chunks_while_others_go_on_decoding() -> None:
    both = engine(batched=10)
    both.add(sequence(1, 50, family=1))
    first = both.schedule(0)
    assert first is not None
    both.commit(first, 0)
    both.add(sequence(25, 1, family=2))
    steps = []
    while (step := both.schedule(0)) and step.prefill:
        steps.append((len(step.decode), step.prefill[0][1]))
        both.commit(step, 0)
    assert steps == [(1, 9), (1, 9), (1, 7)]


def test_a_cached_prefix_is_not_computed_again_but_the_last_prompt_token_is() -> None:
    cached = engine()
    cached.add(sequence(16, 1))
    drive(cached)
    again, longer = sequence(16, 1), sequence(18, 1)
    cached.add(again)
    step = cached.schedule(0)
    assert step is not None
    assert (again.cached, step.prefill) == (12, ((again, 4),))
    cached.commit(step, 0)
    cached.add(longer)
    drive(cached)
    assert longer.cached == 16


def test_without_prefix_caching_every_prompt_token_is_computed() -> None:
    plain = engine(prefix_caching=False)
    for _ in range(2):
        plain.add(sequence(16, 1))
    step = plain.schedule(0)
    assert step is not None
    assert [tokens for _, tokens in step.prefill] == [16, 16]


def test_a_request_that_fits_later_does_not_overtake_one_that_waits() -> None:
    full = engine(blocks=10)
    running, large, small = (sequence(20, 4, family=1), sequence(30, 10, family=2), sequence(1, 1, family=3))
    for request in (running, large, small):
        full.add(request)
    step = full.schedule(0)
    assert step is not None
    assert step.started == (running,)
    assert list(full.waiting) == [large, small]


def test_a_sequence_longer_than_the_cache_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than the KV cache"):
        engine(blocks=2).add(sequence(8, 1))


def test_an_aborted_sequence_produces_nothing_in_the_step_that_was_under_way() -> None:
    busy = engine()
    gone, stays = sequence(4, 5, family=1), sequence(4, 5, family=2)
    busy.add(gone)
    busy.add(stays)
    step = busy.schedule(0)
    assert step is not None
    busy.abort(gone)
    assert {token.sequence for token in busy.commit(step, 1)} == {stays}
    assert gone.generated == 0


def test_queued_tokens_are_the_prompts_without_a_first_token() -> None:
    counted = engine(seqs=1)
    counted.add(sequence(5, 3, family=1))
    counted.add(sequence(7, 3, family=2))
    assert counted.queued_tokens == 12
    step = counted.schedule(0)
    assert step is not None
    counted.commit(step, 0)
    assert counted.queued_tokens == 7


class Scheduling(RuleBasedStateMachine):
    """Any order of arrivals, steps and aborts, aborts within a step included."""

    BLOCKS, SEQS, BATCHED = 12, 3, 6

    def __init__(self) -> None:
        super().__init__()
        self.engine = engine(blocks=self.BLOCKS, seqs=self.SEQS, batched=self.BATCHED)
        self.admitted: list[Sequence] = []
        self.started: list[Sequence] = []
        self.step: EngineStep | None = None
        self.now_s = 0.0
        self.tokens = 0

    @rule(prompt=st.integers(1, 30), output=st.integers(1, 12), family=st.integers(0, 2))
    def arrive(self, prompt: int, output: int, family: int) -> None:
        request = sequence(prompt, output, family=family, queued_s=self.now_s)
        self.engine.add(request)
        self.admitted.append(request)

    @precondition(lambda self: self.step is None)
    @rule()
    def schedule(self) -> None:
        self.step = self.engine.schedule(self.now_s)
        if self.step is None:
            assert not self.engine.unfinished, "work left, and nothing to do"
            return
        assert len(self.step.decode) + sum(tokens for _, tokens in self.step.prefill) <= self.BATCHED
        assert 0 < self.step.duration_s < math.inf
        self.started += self.step.started

    @precondition(lambda self: self.step is not None)
    @rule()
    def commit(self) -> None:
        assert self.step is not None
        self.now_s += self.step.duration_s
        self.tokens += len(self.engine.commit(self.step, self.now_s))
        self.step = None

    @precondition(lambda self: self.admitted)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        self.engine.abort(data.draw(st.sampled_from(self.admitted)))

    @invariant()
    def the_limits_hold(self) -> None:
        kv = self.engine.cache
        assert len(self.engine.running) <= self.SEQS
        assert kv.used + kv.cached <= self.BLOCKS

    @invariant()
    def used_blocks_are_those_of_the_running(self) -> None:
        leases = [request.lease for request in self.engine.running if request.lease]
        assert len(leases) == len(self.engine.running)
        shared = {block for lease in leases for block in lease.shared}
        assert self.engine.cache.used == len(shared) + sum(lease.private for lease in leases)

    @invariant()
    def requests_start_in_the_order_of_arrival(self) -> None:
        positions = [self.admitted.index(request) for request in self.started]
        assert positions == sorted(positions)

    @invariant()
    def no_token_is_lost_or_made_up(self) -> None:
        assert self.tokens == sum(request.generated for request in self.admitted)
        assert all(request.generated <= request.output_tokens for request in self.admitted)

    def teardown(self) -> None:
        """Every admitted request that was not aborted ends in full, and everything is free then."""
        if self.step is not None:
            self.engine.commit(self.step, self.now_s)
        drive(self.engine, self.now_s)
        assert all(request.finished != request.aborted for request in self.admitted)
        assert self.engine.unfinished == self.engine.cache.used == 0


TestScheduling = Scheduling.TestCase
TestScheduling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
