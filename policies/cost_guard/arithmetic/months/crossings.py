"""Where one running sum overtakes another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True, slots=True)
class Crossing:
    """From `month` on, `cheaper` has cost less so far. Months are fractional: 1.5 is the middle of the second."""

    month: Fraction
    cheaper: Literal["self-hosted", "managed"]


def crossings(months: Sequence[tuple[Fraction, Fraction]], before: Fraction, after: Fraction) -> tuple[Crossing, ...]:
    """The changes of the sign of the lead, managed minus self-hosted, both so far.

    Of each month: what falls at its beginning (against self-hosted) and what the lead gains evenly in it. `before`
    falls at the start (against), `after` at the end (for). Self-hosted is cheaper where the lead is ≥ 0, but at the
    start managed counts as cheaper: a lead of 0 there that is lost at once is no change.
    """
    return tuple(_crossings(months, before, after))


def _crossings(months: Sequence[tuple[Fraction, Fraction]], before: Fraction, after: Fraction) -> Iterator[Crossing]:
    lead, ours = -before, False
    for number, (falls, gain) in enumerate(months):
        lead -= falls
        if ours and lead < 0:
            ours = False
            yield Crossing(Fraction(number), "managed")
        end = lead + gain
        if not ours and end >= 0:
            ours = True
            yield Crossing(number - lead / gain if lead else Fraction(number), "self-hosted")
        elif ours and end < 0:
            ours = False
            yield Crossing(number - lead / gain, "managed")
        lead = end
    lead += after
    if ours != (lead >= 0):
        yield Crossing(Fraction(len(months)), "managed" if ours else "self-hosted")
