"""The cumulative cost of both sides over the horizon, every month in which they cross, and the best start."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cost_guard.arithmetic.months.crossings import Crossing
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.charts.canvas import Chart, Theme, above, beside, label_ends, money_axis
from scripts.crossover.report.course import Course, crossing_words
from scripts.crossover.report.words import compact_usd

Point = tuple[Fraction, Fraction]
"""Months, USD, undiscounted."""
MOST_LABELS = 3
"""Of crossings; all have their marks."""


@dataclass(frozen=True)
class TcoData:
    """What is drawn."""

    self_hosted: tuple[Point, ...]
    """What is paid up front stands as a step at the month's beginning."""
    managed: tuple[Point, ...]
    crossings: tuple[tuple[Crossing, Point], ...]
    """Each with its place on the managed line; where self-hosting jumps over that line, within the jump."""
    best_start: int | None
    """After how many months managed; None is never."""


def data(judged: Judged) -> TcoData:
    """Month by month, from 0; what is owed and what is left after the horizon stand as a step at its end."""
    found, horizon = judged.tco, judged.horizon
    ours, theirs = [(Fraction(0), Fraction(0))], [(Fraction(0), Fraction(0))]
    if horizon.upfront_usd:
        ours.append((Fraction(0), horizon.upfront_usd))
    for month in found.months:
        begin, end = Fraction(month.number - 1), Fraction(month.number)
        if month.commitment_usd:
            ours.append((begin, ours[-1][1] + month.commitment_usd))
        ours.append((end, month.self_hosted_sum_usd))
        theirs.append((end, month.managed_sum_usd))
    if rest := found.owed_after - horizon.residual_usd:
        ours.append((ours[-1][0], ours[-1][1] + rest))
    marks = tuple((one, (one.month, _on(theirs, one.month))) for one in found.crossings)
    start = found.best_start[0]
    return TcoData(tuple(ours), tuple(theirs), marks, start if start < len(found.months) else None)


def _on(line: list[Point], at: Fraction) -> Fraction:
    """The managed sum at a point between two months."""
    month = min(int(at), len(line) - 2)
    (begin, low), (end, high) = line[month], line[month + 1]
    return low + (high - low) * (at - begin) / (end - begin)


def chart(verdict: Verdict) -> Chart:
    """Of a verdict that has figures."""
    assert verdict.shown is not None
    drawn, course = data(verdict.shown), Course.of(verdict.shown)
    told = "; ".join(filter(None, (course.drawn, course.ahead)))
    return Chart(
        title=course.title,
        subtitle=f"Cumulative cost in USD, undiscounted: {course.ahead};\n"
        f"{'; '.join(filter(None, (course.drawn, course.start)))}.",
        description=f"{course.title}: undiscounted {compact_usd(drawn.self_hosted[-1][1])} self-hosted against "
        f"{compact_usd(drawn.managed[-1][1])} managed; {told}; {course.start}.",
        paint=lambda axes, theme: _paint(axes, theme, drawn),
        height=0.6,
    )


def _paint(axes: Axes, theme: Theme, drawn: TcoData) -> None:
    last, ours, theirs = float(drawn.managed[-1][0]), drawn.self_hosted[-1][1], drawn.managed[-1][1]
    axes.set_xlim(0, last)
    sums = [float(y) for line in (drawn.self_hosted, drawn.managed) for _, y in line]
    axes.set_ylim(min(0.0, *sums), max(sums) * 1.06)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, steps=[1, 2, 3, 6, 10]))
    axes.set_xlabel("months")
    money_axis(axes, theme)
    for line, colour in ((drawn.managed, theme.theirs), (drawn.self_hosted, theme.ours)):
        axes.plot([float(x) for x, _ in line], [float(y) for _, y in line], color=colour, linewidth=2.2, clip_on=False)
    _paint_marks(axes, theme, drawn)
    label_ends(
        axes,
        [
            (float(ours), f"self-hosted\n{compact_usd(ours)}", theme.ours),
            (float(theirs), f"managed\n{compact_usd(theirs)}", theme.theirs),
        ],
    )


def _paint_marks(axes: Axes, theme: Theme, drawn: TcoData) -> None:
    for number, (crossing, (month, usd)) in enumerate(drawn.crossings):
        at = float(month), float(usd)
        axes.plot(*at, "o", markersize=8, color=theme.text, clip_on=False)
        if 0 < month < drawn.managed[-1][0] and number < MOST_LABELS:
            beside(axes, at, crossing_words(crossing), theme, below=crossing.cheaper == "managed")
    if drawn.best_start is not None:
        axes.axvline(drawn.best_start, color=theme.muted, linewidth=1.4, linestyle=(0, (4, 3)))
        above(axes, drawn.best_start, "best start", theme.text)
