"""Which nodes serve when n are added: of all, the largest k(n) are spares, and what is left carries the volume.

k(n) = spare + ceil(loss + n·lossAdded) grows where added nodes may be taken away. The nodes are in kinds from the
largest to the smallest; added nodes are all of one kind. What is kept changes in stretches: along one, each step keeps
one more added node than the step before.

While the spares are all larger than an added node (k(n) < the number of those), n itself counts the steps, and what
is carried falls where k(n) grows by one. From there on, spares and added nodes are exchangeable: what is kept are the
N + n − k(n) smallest, so the steps are counted by how many that are, and the j-th is reached with
ceil((j + offset)/rate) nodes, rate = 1 − lossAdded. A step that keeps no more than one before it is nobody's choice,
and may be left out here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps j = 0, 1, …, count − 1 (None: without end)."""

    kept: tuple[int, ...]
    """Of each kind, the nodes that serve at step 0; step j keeps j more of the added kind."""
    offset: Fraction
    """Whole where the rate is 1."""
    rate: Fraction
    """Added nodes that serve, of all that are added: 1 − lossAdded, or 1."""
    count: int | None

    def added(self, step: int) -> int:
        """n of a step: how many nodes are added."""
        return ceil((step + self.offset) / self.rate)


@dataclass(frozen=True, slots=True)
class Kinds:
    """How many nodes of each kind, from the largest kind to the smallest, and which kind is added."""

    counts: tuple[int, ...]
    added: int
    spare: int
    loss: Fraction
    """Of all given nodes together: how many are gone on average."""
    added_loss: Fraction
    """Of one added node; less than 1."""

    @property
    def nodes(self) -> int:
        return sum(self.counts)

    @property
    def larger(self) -> int:
        """Given nodes of kinds before the added one."""
        return sum(self.counts[: self.added])

    @property
    def smaller(self) -> int:
        return sum(self.counts[self.added + 1 :])

    def spares(self, added: int) -> int:
        """k(n)."""
        return self.spare + ceil(self.loss + added * self.added_loss)

    def without_largest(self, spares: int, added: int) -> tuple[int, ...]:
        """What is kept of each kind, with so many added."""
        kept = list(self.counts)
        kept[self.added] += added
        for kind, count in enumerate(kept):
            gone = min(count, spares)
            kept[kind], spares = count - gone, spares - gone
        return tuple(kept)

    def smallest(self, nodes: int) -> tuple[int, ...]:
        """So many from the smallest kind up, as many of the added kind as there is need for."""
        kept = [0] * len(self.counts)
        for kind in range(len(kept) - 1, self.added, -1):
            kept[kind] = min(self.counts[kind], nodes)
            nodes -= kept[kind]
        kept[self.added] = nodes
        return tuple(kept)


def stretches(kinds: Kinds) -> tuple[Stretch, ...]:
    """The first is the given nodes alone, the last has no end; each n that carries more than any fewer do is in one."""
    return tuple(_stretches(kinds))


def _stretches(kinds: Kinds) -> Iterator[Stretch]:
    spares = kinds.spares(0)
    yield Stretch(kinds.without_largest(spares, 0), Fraction(0), Fraction(1), 1)
    kept, first = max(0, kinds.nodes - spares), 1
    for gone in range(spares, kinds.larger):
        last = _last_with(kinds, gone)
        if last is None or last >= first:
            count = None if last is None else last - first + 1
            yield Stretch(kinds.without_largest(gone, first), Fraction(first), Fraction(1), count)
        if last is None:
            return
        first = max(first, last + 1)
        kept = kinds.nodes + first - kinds.spares(first)
    away = kinds.loss if kinds.added_loss else Fraction(ceil(kinds.loss))
    rate, offset = 1 - kinds.added_loss, away + kinds.spare - kinds.nodes
    for one in range(kept + 1, kinds.smaller + 1):
        yield Stretch(kinds.smallest(one), one + offset, rate, 1)
    kept = max(kept, kinds.smaller) + 1
    yield Stretch(kinds.smallest(kept), kept + offset, rate, None)


def _last_with(kinds: Kinds, spares: int) -> int | None:
    """The greatest n with k(n) ≤ spares; None where every n is."""
    if not kinds.added_loss:
        return None
    return floor((spares - kinds.spare - kinds.loss) / kinds.added_loss)


def group(sizes: Sequence[Fraction]) -> tuple[tuple[Fraction, ...], tuple[int, ...]]:
    """The distinct sizes, from the largest on, and how many there are of each."""
    counts = Counter(sizes)
    distinct = sorted(counts, reverse=True)
    return tuple(distinct), tuple(counts[size] for size in distinct)
