"""base + rise·j + drop·floor((slope·j + offset)/period) over the integers j: which first is large enough, which last?

Nodes that may be taken away (spot) need spares of their own, so the cost of the j-th step is a line plus the sawtooth
of a rounding. Its maximum over a range is found as a greatest common divisor is, by exchanging the line and the
rounding; the first and the last j that reach a level then by bisection. Nothing walks along the steps: there may be
10¹² of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, gcd, lcm


@dataclass(frozen=True, slots=True)
class Sawtooth:
    """A line and a rounded line, in integers; real values are these over `unit`."""

    rise: int
    drop: int
    slope: int
    offset: int
    period: int
    """More than 0."""
    base: int = 0
    unit: int = 1

    @classmethod
    def of(
        cls, gain: Fraction, loss: Fraction, offset: Fraction, rate: Fraction, base: Fraction = Fraction(0)
    ) -> Sawtooth:
        """base + gain·j − loss·ceil((j + offset)/rate), rate more than 0."""
        unit = lcm(gain.denominator, loss.denominator, base.denominator)
        top, bottom = rate.numerator, rate.denominator
        return cls(
            rise=int(gain * unit),
            drop=int(loss * unit),  # −ceil(z) = floor(−z)
            slope=-bottom * offset.denominator,
            offset=-bottom * offset.numerator,
            period=top * offset.denominator,
            base=int(base * unit),
            unit=unit,
        )

    def most(self, start: int, stop: int) -> Fraction:
        """The greatest value in start ≤ j < stop; there must be one."""
        return Fraction(self._most(start, stop), self.unit)

    def first_at_least(self, level: Fraction, start: int, stop: int | None) -> int | None:
        """The least j in start ≤ j < stop whose value is at least `level`; without a stop, of all from start on."""
        wanted = ceil(level * self.unit)
        return self._first(wanted, start, self._reached_before(wanted, start) if stop is None else stop)

    def last_below(self, level: Fraction, start: int, stop: int | None) -> int | None:
        """The greatest j in start ≤ j < stop whose value is below `level`; without a stop, the values must rise."""
        down, wanted = self._turned(), 1 - ceil(level * self.unit)
        if stop is None:
            stop = down._given_up_at(wanted, start)
        mirrored = replace(down, rise=-down.rise, slope=-down.slope)  # the last j is the first −j
        found = mirrored._first(wanted, 1 - stop, 1 - start)
        return None if found is None else -found

    def first_below(self, level: Fraction, start: int, stop: int | None) -> int | None:
        """The least j in start ≤ j < stop whose value is below `level`."""
        return self._turned().first_at_least(Fraction(1 - ceil(level * self.unit), self.unit), start, stop)

    def _first(self, wanted: int, start: int, stop: int) -> int | None:
        """The least j in start ≤ j < stop whose value times `unit` is at least wanted."""
        if start >= stop or self._most(start, stop) < wanted:
            return None
        low, high = start, stop  # the answer is in low ≤ j < high
        while high - low > 1:
            middle = (low + high) // 2
            if self._most(low, middle) >= wanted:
                high = middle
            else:
                low = middle
        return low

    def _turned(self) -> Sawtooth:
        return replace(self, rise=-self.rise, drop=-self.drop, base=-self.base)

    @property
    def _cycle(self) -> tuple[int, int]:
        """After so many steps the roundings are the same again, and each value is so much larger."""
        steps = self.period // gcd(self.slope, self.period)
        return steps, self.rise * steps + self.drop * (self.slope * steps // self.period)

    def _value(self, step: int) -> int:
        return self.base + self.rise * step + self.drop * ((self.slope * step + self.offset) // self.period)

    def _reached_before(self, wanted: int, start: int) -> int:
        """If any value from start on is as large as wanted, then one before this."""
        steps, more = self._cycle
        if more <= 0:
            return start + steps
        return start + steps * max(0, -((self._value(start) - wanted) // more)) + 1

    def _given_up_at(self, wanted: int, start: int) -> int:
        """No value from here on is as large as wanted; the values must fall."""
        steps, more = self._cycle
        if more >= 0:
            raise ValueError("the values do not fall, so there is no last one")
        spare = self._most(start, start + steps) - wanted
        return start if spare < 0 else start + steps * (spare // -more + 1)

    def _most(self, start: int, stop: int) -> int:
        """The largest value in start ≤ j < stop; there must be one."""
        rise, drop, slope, offset, period = self.rise, self.drop, self.slope, self.offset, self.period
        base, offset, count = self.base + rise * start, offset + slope * start, stop - start
        best = None
        while True:
            whole, slope = divmod(slope, period)
            rise += drop * whole
            whole, offset = divmod(offset, period)
            base += drop * whole
            top = (slope * (count - 1) + offset) // period
            ends = max(base, base + rise * (count - 1) + drop * top)
            best = ends if best is None else max(best, ends)
            if top == 0 or (rise <= 0) == (drop <= 0):
                return best
            # Of the j that round alike, the best is the last where the line rises, and the first where it falls.
            # The last of level y, and the one before the first of level y + 1, is floor((period·y + …)/slope).
            if rise < 0:
                base += rise + drop
            count, rise, drop, slope, period, offset = top, drop, rise, period, slope, period - offset - 1
