"""The six ways to serve the volume, and what each comes to in a month and over the horizon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from cost_guard.arithmetic.managed import DisplacedVolume
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.stairs.sawtooth import Sawtooth
from cost_guard.arithmetic.tco import HorizonTerms, Tco, tco

OptionId = Literal[
    "managed", "same-weights", "self-hosted", "self-hosted-from", "self-hosted-until", "self-hosted-part"
]


@dataclass(frozen=True, slots=True)
class OptionFigures:
    """USD; None where nobody is known to serve these weights."""

    id: OptionId
    usd_per_month: Fraction | None
    """Of month 1, without what is up front."""
    horizon_usd: Fraction | None
    """Present value."""


@dataclass(frozen=True, slots=True)
class BestPart:
    """A part of the volume that is self-hosted, while the rest stays managed."""

    volume: Fraction
    """x: tokens per month; 0 where no part pays, and V where all of it is best."""
    usd_per_month: Fraction
    """cost(x) and what stays managed."""
    left_usd_per_month: Fraction
    """What stays managed."""


def options(
    reading: Reading,
    horizon: HorizonTerms,
    over: Tco,
    routes: DisplacedVolume,
    same_weights_usd_per_million: Fraction | None,
) -> tuple[OptionFigures, ...]:
    """All six, in their order. `over` is the reading's `tco`.

    What a baseline's running commitments still owe is in each: `managed` and `same-weights` have it added as it falls
    due, and so has a part of nothing.
    """
    volume, running = reading.volume, _due_now(horizon)
    managed, ours = reading.managed(volume), reading.cost(volume)
    month, from_usd = over.best_start
    same = None if same_weights_usd_per_million is None else volume * same_weights_usd_per_million / 10**6
    bought = over.managed_usd
    part = best_part(reading, routes)
    figures: tuple[tuple[OptionId, Fraction | None, Fraction | None], ...] = (
        ("managed", managed + running, bought + over.running_usd),
        ("same-weights", *_same(same, running, bought, managed, over.running_usd)),
        ("self-hosted", ours, over.self_hosted_usd),
        ("self-hosted-from", ours if month == 0 else managed + running, from_usd),
        ("self-hosted-until", ours, over.best_end[1]),
        ("self-hosted-part", *_part(part, reading, horizon, over)),
    )
    return tuple(OptionFigures(*one) for one in figures)


def _same(
    same: Fraction | None, running: Fraction, bought: Fraction, managed: Fraction, owed: Fraction
) -> tuple[Fraction | None, Fraction | None]:
    return (None, None) if same is None else (same + running, bought * same / managed + owed)


def _part(part: BestPart, reading: Reading, horizon: HorizonTerms, over: Tco) -> tuple[Fraction, Fraction]:
    if part.volume == 0:
        return part.usd_per_month + _due_now(horizon), over.managed_usd + over.running_usd
    left = over.managed_usd * part.left_usd_per_month / reading.managed(reading.volume)
    whole = part.volume == reading.volume
    ours = over if whole else tco(replace(reading, volume=part.volume), horizon)
    return part.usd_per_month, ours.self_hosted_usd + left


def _due_now(horizon: HorizonTerms) -> Fraction:
    return sum((one.nodes * one.usd_per_month for one in horizon.running), Fraction(0))


def best_part(reading: Reading, routes: DisplacedVolume) -> BestPart:
    """Of 0, V and every Cap(n) < V the x with the greatest saved(x) − cost(x), the least of equals; cost(0) = 0."""
    saving = {Fraction(0): Fraction(0)}
    for volume in {*_edges(reading, routes), reading.volume} - {Fraction(0)}:
        saving[volume] = routes.saved(volume) - reading.cost(volume)
    best = min(saving, key=lambda volume: (-saving[volume], volume))
    left = routes.saved(reading.volume) - routes.saved(best)
    return BestPart(best, left + (reading.cost(best) if best else 0), left)


def _edges(reading: Reading, routes: DisplacedVolume) -> Iterator[Fraction]:
    """What steps carry, below V; of all those that end in one route of one flight, only the one that saves most.

    There saved(x) is a line, so the saving is a sawtooth over the steps.
    """
    stairs = reading.stairs
    for flight, stop in stairs.carried(reading.volume):
        start, end = flight.start, Fraction(0)
        for tokens, usd_per_million in routes.routes:
            end += tokens
            until = min(stop, (end - flight.base) // stairs.step + 1)
            if until <= start:
                continue
            saving = Sawtooth.of(
                stairs.step * usd_per_million / 10**6, stairs.each, flight.stretch.offset, flight.stretch.rate
            )
            best = saving.first_at_least(saving.most(start, until), start, until)
            assert best is not None  # it is where the most is
            yield stairs.capacity(flight, best)
            start = until
