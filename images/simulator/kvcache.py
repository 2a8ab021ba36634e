"""The KV cache as vLLM keeps it: blocks of a fixed number of tokens, full prompt blocks shared by hash. Pure.

Simplified in two ways. A request's blocks are taken for its whole life when it is scheduled (the simulator knows the
length of the answer), so nothing is ever preempted. And a prompt block can be shared from the moment it is taken.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The blocks that one request holds."""

    shared: tuple[int, ...]
    """Hashes of its full prompt blocks; each counts once however many requests hold it."""
    private: int
    """How many blocks are its own: the unfinished one and all that the answer fills."""
    hit_blocks: int
    """How many leading blocks were in the cache already."""


class KvCache:
    """`capacity` blocks of `block_size` tokens. Blocks in use plus idle cached ones never exceed the capacity."""

    def __init__(self, capacity: int, block_size: int, *, prefix_caching: bool) -> None:
        self.capacity = capacity
        self.block_size = block_size
        self.prefix_caching = prefix_caching
        self._references: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._private = 0

    @property
    def used(self) -> int:
        """Blocks that running requests hold. Idle cached blocks can be reused: free, as in vLLM."""
        return len(self._references) + self._private

    @property
    def cached(self) -> int:
        """Blocks that no request holds but whose content is still there."""
        return len(self._idle)

    @property
    def usage(self) -> float:
        """`vllm:kv_cache_usage_perc`: 1 means full."""
        return self.used / self.capacity

    def blocks(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def take(self, block_hashes: tuple[int, ...], tokens: int) -> Lease | None:
        """Blocks for a request of `tokens` in all (prompt and answer), or None where they do not fit now."""
        shared = block_hashes if self.prefix_caching else ()
        private = self.blocks(tokens) - len(shared)
        if self.used + private + sum(1 for block in shared if block not in self._references) > self.capacity:
            return None
        hit = 0
        while hit < len(shared) and (shared[hit] in self._references or shared[hit] in self._idle):
            hit += 1
        for block in shared:
            self._references[block] = self._references.get(block, 0) + 1
            self._idle.pop(block, None)
        self._private += private
        while self.used + self.cached > self.capacity:
            self._idle.popitem(last=False)
        return Lease(shared, private, hit)

    def give_back(self, lease: Lease) -> None:
        """Ends a lease. Its prompt blocks stay cached, the prompt's end the first to be evicted, as in vLLM."""
        self._private -= lease.private
        for block in reversed(lease.shared):
            self._references[block] -= 1
            if not self._references[block]:
                del self._references[block]
                self._idle[block] = None
