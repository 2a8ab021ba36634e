"""What each uncertainty does alone: the saving at its P10 and at its P90, the widest swing first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from matplotlib.axes import Axes

from cost_guard import wording
from cost_guard.arithmetic.costing import Case
from cost_guard.arithmetic.montecarlo import tornado
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.charts.canvas import Chart, Theme, above, backed, money_axis
from scripts.crossover.report.words import NAMES, compact_tokens, compact_usd

THICK = 0.56
"""Of a bar, in rows."""


@dataclass(frozen=True)
class Bar:
    """One uncertainty."""

    name: str
    low: str
    """Its value at P10, in words."""
    high: str
    low_saving_usd: Fraction
    """USD per month."""
    high_saving_usd: Fraction


def data(case: Case) -> tuple[Bar, ...]:
    """The widest swing first."""
    return tuple(
        Bar(
            NAMES[swing.name],
            _value(case, swing.name, swing.low_factor),
            _value(case, swing.name, swing.high_factor),
            swing.low_saving_usd,
            swing.high_saving_usd,
        )
        for swing in tornado(case)
    )


def _value(case: Case, name: str, factor: Decimal) -> str:
    by = Fraction(factor)
    if name == "volume":
        return compact_tokens(case.volume * by)
    if name == "throughput":
        return wording.rate(case.tokens_per_second * factor)
    if name == "apiPrice":
        return f"{wording.usd(case.stairs.usd_per_million * factor)}/M"
    return compact_usd(case.stairs.overhead * by)


def chart(verdict: Verdict) -> Chart:
    """Of a verdict that has a case."""
    case = verdict.case
    assert case is not None
    bars = data(case)
    expected = case.stairs.managed(case.volume) - case.stairs.cost(case.volume)
    return Chart(
        title=_title(bars, expected),
        subtitle="USD per month that self-hosting saves, with one uncertainty alone at its P10 and at its P90.",
        description=" ".join(
            f"{bar.name}: {compact_usd(bar.low_saving_usd)} a month saved at {bar.low}, "
            f"{compact_usd(bar.high_saving_usd)} at {bar.high}."
            for bar in bars
        ),
        paint=lambda axes, theme: _paint(axes, theme, bars, expected),
        left=0.135,
    )


def _title(bars: Sequence[Bar], expected: Fraction) -> str:
    """Which of them can turn the answer."""
    turns = [bar.name for bar in bars if any((end >= 0) != (expected >= 0) for end in _ends(bar))]
    if not turns:
        return f"No uncertainty alone makes it {'lose' if expected >= 0 else 'pay'}"
    names = turns[0] if len(turns) == 1 else f"{', '.join(turns[:-1])} or {turns[-1]}"
    return f"{names[0].upper()}{names[1:]} alone can make it {'lose' if expected >= 0 else 'pay'}"


def _ends(bar: Bar) -> tuple[Fraction, Fraction]:
    return bar.low_saving_usd, bar.high_saving_usd


def _paint(axes: Axes, theme: Theme, bars: Sequence[Bar], expected: Fraction) -> None:
    middle = float(expected)
    ends = [float(end) for bar in bars for end in _ends(bar)] + [middle, 0.0]
    span = (max(ends) - min(ends)) or 1.0
    axes.set_xlim(min(ends) - 0.36 * span, max(ends) + 0.3 * span)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    money_axis(axes, theme, "x")
    axes.set_xlabel("USD per month saved")
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars], color=theme.text)
    axes.axvline(0, color=theme.muted, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.axvline(middle, color=theme.text, linewidth=1.4)
    for row, bar in enumerate(bars):
        _paint_bar(axes, theme, row, bar, middle)
    if abs(middle) > 0.2 * span:
        above(axes, 0.0, "breaks even", theme.muted)
    above(axes, middle, f"as expected {compact_usd(expected)}", theme.text)


def _paint_bar(axes: Axes, theme: Theme, row: int, bar: Bar, middle: float) -> None:
    """What is worse than expected in one colour, what is better in the other; the ends tell value and saving."""
    low, high = sorted(float(end) for end in _ends(bar))
    for begin, end, colour in ((low, min(high, middle), theme.theirs), (max(low, middle), high, theme.ours)):
        if end > begin:
            axes.barh(row, end - begin, THICK, left=begin, color=colour, linewidth=0)
    if low == high:
        _tell(axes, theme, row, max(high, middle), f"{bar.low} to\n{bar.high}: no change", 1)
        return
    near = 0.12 * (axes.get_xlim()[1] - axes.get_xlim()[0])
    at_low, at_high = sorted(((bar.low_saving_usd, bar.low), (bar.high_saving_usd, bar.high)))
    # An end just short of the line of what is expected is told beyond it.
    left, right = (middle if 0 < gap < near else end for gap, end in ((low - middle, low), (middle - high, high)))
    _tell(axes, theme, row, left, f"{at_low[1]}\n{compact_usd(at_low[0])}", -1)
    _tell(axes, theme, row, right, f"{at_high[1]}\n{compact_usd(at_high[0])}", 1)


def _tell(axes: Axes, theme: Theme, row: int, x: float, words: str, side: int) -> None:
    axes.annotate(
        words,
        (x, row),
        xytext=(6 * side, 0),
        textcoords="offset points",
        color=theme.text,
        ha="left" if side > 0 else "right",
        va="center",
        size=9,
        linespacing=1.25,
        bbox=backed(theme),
    )
