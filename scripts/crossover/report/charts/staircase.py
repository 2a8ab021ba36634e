"""Cost by volume: the staircase of nodes against the managed line, and where one falls below the other."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from matplotlib.axes import Axes

from cost_guard import wording
from cost_guard.arithmetic.reading import Reading
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.charts.canvas import Chart, Theme, above, beside, label_ends, money_axis, volume_axis
from scripts.crossover.report.words import compact_tokens, compact_usd

MOST_STEPS = 400
"""Beyond so many, steps are joined: they are finer than a pixel."""

Point = tuple[Fraction, Fraction]
"""Tokens per month, USD per month."""


@dataclass(frozen=True)
class StaircaseData:
    """What is drawn."""

    to: Fraction
    """The volume at the right edge."""
    stairs: tuple[Point, ...]
    """Corners of the self-hosted cost, from volume 0."""
    managed: tuple[Point, Point]
    first: Point | None
    """None where it does not exist."""
    stable: Point | None
    volume: Fraction
    saving: Fraction
    """USD per month at `volume`."""
    losing: tuple[tuple[Fraction, Fraction], ...]
    """Ranges of volume up to `to` in which self-hosting costs more."""


def data(stairs: Reading) -> StaircaseData:
    """Exact; as far as the last of first, stable and the projected volume, and some way beyond."""
    volume = stairs.volume
    marks = [found for found in (stairs.first, stairs.stable) if found is not None]
    carried = stairs.capacity(0)
    to = max([volume, *marks] if stairs.stable is not None else [volume, *marks, carried * Fraction(3, 2)])
    to *= Fraction(13, 10)
    first, stable = ((at, stairs.cost(at)) if at is not None else None for at in (stairs.first, stairs.stable))
    return StaircaseData(
        to=to,
        stairs=_corners(stairs, to),
        managed=((Fraction(0), Fraction(0)), (to, stairs.managed(to))),
        first=first,
        stable=stable,
        volume=volume,
        saving=stairs.managed(volume) - stairs.cost(volume),
        losing=_losing(stairs, to),
    )


def _corners(reading: Reading, to: Fraction) -> tuple[Point, ...]:
    """Each step ends where its nodes are full; nodes that carry no more than fewer do are none."""
    stairs, corners = reading.stairs, [(Fraction(0), reading.cost(Fraction(0)))]
    for flight, stop in stairs.carried(to):
        for step in range(flight.start, stop, max(1, (stop - flight.start) // MOST_STEPS)):
            edge = stairs.capacity(flight, step)
            corners += [(edge, corners[-1][1]), (edge, reading.cost(edge + 1))]
    return (*corners, (to, reading.cost(to)))


def _losing(stairs: Reading, to: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
    found = [(Fraction(0), to if stairs.first is None else min(stairs.first, to))]
    at = stairs.first
    while at is not None and at < to and len(found) < MOST_STEPS:
        band = stairs.losing_after(at)
        if band is None or band.lo >= to:
            break
        found.append((band.lo, to if band.hi is None else min(band.hi, to)))
        at = band.hi
    return tuple(found)


def chart(verdict: Verdict) -> Chart:
    """Of a verdict that has figures."""
    assert verdict.shown is not None
    stairs = verdict.shown.reading
    drawn = data(stairs)
    title = _title(drawn)
    return Chart(
        title=title,
        subtitle="USD per month by volume: nodes and overhead, and the managed API. Tinted: self-hosting costs more.",
        description=f"{title}. {verdict.headline}",
        paint=lambda axes, theme: _paint(axes, theme, drawn, stairs),
    )


def _title(drawn: StaircaseData) -> str:
    at = f"at {compact_tokens(drawn.volume)} tokens/month"
    if drawn.saving < 0:
        anywhere = "" if drawn.first is not None else ", and at every volume"
        return f"Loses {compact_usd(-drawn.saving)}/month {at}{anywhere}"
    always = "" if drawn.stable is not None and drawn.volume >= drawn.stable[0] else ", but not for good"
    return f"Saves {compact_usd(drawn.saving)}/month {at}{always}"


def _paint(axes: Axes, theme: Theme, drawn: StaircaseData, stairs: Reading) -> None:
    volume_axis(axes, float(drawn.to))
    top = max(drawn.stairs[-1][1], drawn.managed[-1][1])
    axes.set_ylim(0, float(top) * 1.06)
    money_axis(axes, theme)
    for low, high in drawn.losing:
        axes.axvspan(float(low), float(high), color=theme.theirs, alpha=0.09, linewidth=0)
    axes.plot(*_floats(drawn.managed), color=theme.theirs, linewidth=2.2)
    axes.plot(*_floats(drawn.stairs), color=theme.ours, linewidth=2.2, solid_joinstyle="miter")
    _mark_break_even(axes, theme, drawn)
    volume = float(drawn.volume)
    axes.axvline(volume, color=theme.text, linewidth=1.1, linestyle=(0, (4, 3)))
    above(axes, volume, f"projected {compact_tokens(drawn.volume)}", theme.text)
    label_ends(
        axes,
        [
            (
                float(drawn.stairs[-1][1]),
                f"self-hosted\n{wording.count(len(stairs.nodes) + stairs.added_at(drawn.to), 'node')}",
                theme.ours,
            ),
            (float(drawn.managed[-1][1]), f"managed\n{compact_usd(stairs.usd_per_million)}/M", theme.theirs),
        ],
    )


def _mark_break_even(axes: Axes, theme: Theme, drawn: StaircaseData) -> None:
    """First: an open mark, stable: a filled one; one mark where they are the same."""
    if drawn.first is not None and drawn.first != drawn.stable:
        _mark(axes, theme, drawn.first, "first pays\nat", below=False)
    if drawn.stable is not None:
        _mark(axes, theme, drawn.stable, "pays for good\nfrom", below=True)


def _mark(axes: Axes, theme: Theme, point: Point, words: str, *, below: bool) -> None:
    x, y = (float(value) for value in point)
    fill = theme.text if below else theme.background
    axes.plot(x, y, "o", markersize=8, markeredgewidth=1.8, markeredgecolor=theme.text, markerfacecolor=fill)
    below = below and y > axes.get_ylim()[1] / 4  # else the words would stand on the axis
    beside(axes, (x, y), f"{words} {compact_tokens(point[0])}", theme, below=below)


def _floats(points: tuple[Point, ...]) -> tuple[list[float], list[float]]:
    return [float(x) for x, _ in points], [float(y) for _, y in points]
