"""The same staircase for many draws at once, in floats: nodes that a volume needs, and from where on it pays for good.

Draws whose kinds of nodes have the same order by size have the same stretches, so each such group is a few operations
on whole arrays. What is nearer to an edge than _SLACK is taken to be on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from cost_guard.arithmetic.stairs.stretches import Kinds, Stretch, stretches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_SLACK = 1e-12
"""Relative."""

_WALK = 4096
"""Steps of a sawtooth that are tried at most for one draw; fewer than ten are needed but where the margin is as thin as
one in a million, and then it is the next lower tooth."""

_stretches = lru_cache(maxsize=1024)(stretches)


@dataclass(frozen=True, slots=True)
class Many:
    """The draws of one reading."""

    groups: tuple[tuple[slice | NDArray[np.intp], AlikeDraws], ...]
    draws: int

    @classmethod
    def of(cls, kinds: Kinds, sizes: Sequence[Floats], together: bool) -> Many:
        """`sizes` has the tokens a month of each kind by draw; where all move `together` their order is as given."""
        import numpy as np  # to start faster, here and below: a command that draws nothing does not load it

        draws = len(sizes[0])
        if together:
            return cls(((slice(None), _alike(kinds, range(len(sizes)), sizes)),), draws)
        groups = []
        for order, where in _by_order(np.stack(sizes)):
            groups.append((where, _alike(kinds, order, [size[where] for size in sizes])))
        return cls(tuple(groups), draws)

    def added_at(self, volumes: Floats) -> Floats:
        """n(V) of each draw."""
        import numpy as np  # to start faster

        found = np.empty(self.draws)
        for where, alike in self.groups:
            found[where] = alike.added_at(volumes[where])
        return found

    def stable(self, fixed: Floats, each: Floats, price: Floats) -> Floats:
        """`Stairs.stable` of each draw, +∞ where there is none; USD per month, per added node, per token."""
        import numpy as np  # to start faster

        found = np.empty(self.draws)
        for where, alike in self.groups:
            found[where] = alike.stable(fixed[where], each[where], price[where])
        return found


def _by_order(sizes: Floats) -> Iterator[tuple[list[int], NDArray[np.intp]]]:
    """Each order from the largest kind to the smallest, and the draws that have it."""
    import numpy as np  # to start faster

    orders = np.argsort(-sizes, axis=0, kind="stable").astype(np.uint8 if len(sizes) < 256 else np.uint16)
    packed = np.ascontiguousarray(orders.T)
    whole = packed.view(f"V{packed.shape[1] * packed.itemsize}").ravel()
    left = np.arange(sizes.shape[1])
    while len(left):
        same = whole[left] == whole[left[0]]
        yield [int(at) for at in packed[left[0]]], left[same]
        left = left[~same]


def _alike(kinds: Kinds, order: Sequence[int], sizes: Sequence[Floats]) -> AlikeDraws:
    ordered = replace(kinds, counts=tuple(kinds.counts[at] for at in order), added=list(order).index(kinds.added))
    made = _stretches(ordered)
    bases = [sum(kept * sizes[at] for kept, at in zip(one.kept, order, strict=True) if kept) for one in made]
    return AlikeDraws(made, tuple(0 * sizes[0] + base for base in bases), sizes[kinds.added])


@dataclass(frozen=True, slots=True)
class AlikeDraws:
    """Draws that share their stretches."""

    stretches: tuple[Stretch, ...]
    bases: tuple[Floats, ...]
    """Of each stretch, what its step 0 carries."""
    step: Floats

    def added_at(self, volumes: Floats) -> Floats:
        import numpy as np  # to start faster

        wanted = volumes * (1 - _SLACK)
        found = np.zeros(())
        for stretch, base in zip(reversed(self.stretches), reversed(self.bases), strict=True):
            if stretch.count == 1:
                found = np.where(base >= wanted, float(stretch.added(0)), found)
                continue
            steps = np.maximum(np.ceil((wanted - base) / self.step), 0.0)
            nodes = _added(stretch, steps)
            found = nodes if stretch.count is None else np.where(steps < stretch.count, nodes, found)
        return found

    def stable(self, fixed: Floats, each: Floats, price: Floats) -> Floats:
        """`most`, `base` and `step` are here in USD: what the tokens cost managed."""
        import numpy as np  # to start faster

        best, most, step = fixed, self.bases[0] * price, self.step * price
        for stretch, tokens in zip(self.stretches[1:], self.bases[1:], strict=True):
            base = tokens * price
            start = (most - base) / step
            start = np.where(start < 0, 0.0, np.floor(start + _SLACK * (1 + np.abs(start))) + 1)
            last = np.inf if stretch.count is None else stretch.count - 1.0
            at_start = fixed + each * _added(stretch, start)
            best = np.where((start <= last) & (at_start > most * (1 + _SLACK)), at_start, best)
            losing = np.minimum(_last_losing(stretch, base, step, fixed, each), last)
            best = np.where(losing > start, fixed + each * _added(stretch, losing), best)
            most = most if stretch.count is None else np.maximum(most, base + last * step)
        return np.where(each < step * float(self.stretches[-1].rate), best / price, np.inf)


def _last_losing(stretch: Stretch, base: Floats, step: Floats, fixed: Floats, each: Floats) -> Floats:
    """The last step above whose left edge it loses; anything where there is no last. All in USD."""
    import numpy as np  # to start faster

    rate = float(stretch.rate)
    margin = step - each / rate
    margin = np.where(margin > 0, margin, np.inf)
    level = fixed + each * (float(stretch.offset) / rate) - base + step
    if stretch.rate == 1:
        return np.ceil(level / margin * (1 - _SLACK)) - 1
    return _walked(stretch, level, each, margin)


def _added(stretch: Stretch, steps: Floats) -> Floats:
    import numpy as np  # to start faster

    if stretch.rate == 1:
        return steps + float(stretch.offset)
    return np.ceil((steps + float(stretch.offset)) / float(stretch.rate) * (1 - _SLACK))


def _walked(stretch: Stretch, level: Floats, each: Floats, margin: Floats) -> Floats:
    """The last j with j·margin < level + each·(what rounding adds to the nodes of j): down from where none can be."""
    import numpy as np  # to start faster

    offset, rate = float(stretch.offset), float(stretch.rate)
    steps = np.ceil((level + each * _most_rounding(stretch)) / margin * (1 - _SLACK)) - 1
    open_ = np.arange(len(steps))
    for _ in range(min(stretch.rate.numerator, _WALK)):
        at = steps[open_]
        rounding = _added(stretch, at) - (at + offset) / rate
        open_ = open_[at * margin[open_] >= (level[open_] + each[open_] * rounding) * (1 - _SLACK)]
        if not len(open_):
            break
        steps[open_] -= 1
    return steps


def _most_rounding(stretch: Stretch) -> float:
    """The most that rounding up adds to (j + offset)/rate; of `rate.numerator` steps in a row one has it."""
    offset, rate = stretch.offset, stretch.rate
    least = -rate.denominator * offset.numerator % offset.denominator
    parts = offset.denominator * rate.numerator
    return (least + parts - offset.denominator) / parts
