"""The cost of a volume as a staircase, exact: which nodes it needs, from where on it pays, where it would not.

A step is n added nodes that carry more than any fewer do; it serves the volumes above what fewer carry, up to what it
carries. Its cost is constant, so on it self-hosting pays from cost/price on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, floor

from cost_guard.arithmetic.stairs.sawtooth import Sawtooth
from cost_guard.arithmetic.stairs.stretches import Stretch


@dataclass(frozen=True)
class LosingBand:
    """The volumes lo < V < hi at which self-hosting loses; hi None means every larger volume."""

    lo: Fraction
    hi: Fraction | None


@dataclass(frozen=True, slots=True)
class Flight:
    """The steps of one stretch that carry more than all before them."""

    stretch: Stretch
    base: Fraction
    """Tokens a month that step 0 of the stretch carries."""
    start: int
    stop: int | None
    below: Fraction
    """Tokens a month that all before carry."""


@dataclass(frozen=True)
class Stairs:
    """Volumes are tokens per month, money is USD per month, price is USD per token."""

    flights: tuple[Flight, ...]
    step: Fraction
    """What one more added node carries; more than 0."""
    fixed: Fraction
    """The cost of the given nodes, at any volume."""
    each: Fraction
    """The cost of one added node."""
    price: Fraction
    """The managed price; more than 0."""

    def added_at(self, volume: Fraction) -> int:
        """n(V): the least number of added nodes that carries it."""
        at, step = self._find(volume)
        return self.flights[at].stretch.added(step)

    def carried(self, below: Fraction) -> Iterator[tuple[Flight, int]]:
        """For each flight that carries less than a volume: it, and the step after the last that does."""
        for flight in self.flights:
            stop = ceil((below - flight.base) / self.step)
            stop = stop if flight.stop is None else min(stop, flight.stop)
            if stop > flight.start:
                yield flight, stop

    def capacity(self, flight: Flight, step: int) -> Fraction:
        """What a step carries."""
        return flight.base + step * self.step

    def cost(self, added: int) -> Fraction:
        """With so many nodes added."""
        return self.fixed + added * self.each

    @cached_property
    def first(self) -> Fraction | None:
        """The least volume that pays; None where none does."""
        return self._pays_from(0, 0)

    @cached_property
    def stable(self) -> Fraction | None:
        """The least volume from which every larger one pays too; None where there is none."""
        rate = self.flights[-1].stretch.rate
        if self.each >= self.price * self.step * rate:
            return None
        for flight in reversed(self.flights):
            losing = self._surplus(flight).last_below(self.price * self.step, flight.start + 1, flight.stop)
            if losing is None and self._loses_at_start(flight):
                losing = flight.start
            if losing is not None:
                return self._breaks_even(flight, losing)
        return Fraction(0)

    def next_paying(self, volume: Fraction) -> Fraction | None:
        """The least paying volume above a volume that does not pay; None where none does."""
        return self._pays_from(*self._find(volume))

    def losing_after(self, volume: Fraction) -> LosingBand | None:
        """The next band above a paying volume in which it would not pay; None from `stable` on."""
        at, step = self._find(volume)
        for here in range(at, len(self.flights)):
            flight = self.flights[here]
            after = step + 1 if here == at else flight.start
            if after == flight.start and self._loses_at_start(flight):
                return LosingBand(flight.below, self._pays_from(here, after))
            after = max(after, flight.start + 1)
            losing = self._surplus(flight).first_below(self.price * self.step, after, flight.stop)
            if losing is not None:
                return LosingBand(self.capacity(flight, losing - 1), self._pays_from(here, losing))
        return None

    def _find(self, volume: Fraction) -> tuple[int, int]:
        """The flight and the step that serve a volume."""
        for at, flight in enumerate(self.flights):
            step = max(flight.start, ceil((volume - flight.base) / self.step))
            if flight.stop is None or step < flight.stop:
                return at, step
        raise AssertionError("the last flight has no end")

    def _pays_from(self, at: int, start: int) -> Fraction | None:
        """Where the first step that pays begins to, of those from this one on."""
        for flight in self.flights[at:]:
            step = self._surplus(flight).first_at_least(Fraction(0), max(start, flight.start), flight.stop)
            if step is not None:
                return self._breaks_even(flight, step)
            start = 0
        return None

    def _surplus(self, flight: Flight) -> Sawtooth:
        """managed − cost of what each step carries at most."""
        stretch = flight.stretch
        return Sawtooth.of(
            self.price * self.step, self.each, stretch.offset, stretch.rate, self.price * flight.base - self.fixed
        )

    def _loses_at_start(self, flight: Flight) -> bool:
        return self._breaks_even(flight, flight.start) > flight.below

    def _breaks_even(self, flight: Flight, step: int) -> Fraction:
        return self.cost(flight.stretch.added(step)) / self.price


def flights(stretches: Sequence[Stretch], sizes: Sequence[Fraction], step: Fraction) -> tuple[Flight, ...]:
    """Of all steps those that carry more than every one before, for kinds of these sizes; the first always is one."""
    found: list[Flight] = []
    most = Fraction(0)
    for stretch in stretches:
        base = sum((count * size for count, size in zip(stretch.kept, sizes, strict=True)), Fraction(0))
        start = max(0, floor((most - base) / step) + 1) if found else 0
        if stretch.count is None or start < stretch.count:
            found.append(Flight(stretch, base, start, stretch.count, most))
            most = base if stretch.count is None else max(most, base + (stretch.count - 1) * step)
    return tuple(found)
