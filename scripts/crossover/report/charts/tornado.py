"""What each uncertainty does alone to what the horizon saves: at its P10 and at its P90, the widest swing first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from matplotlib.axes import Axes

from cost_guard import wording
from cost_guard.arithmetic.uncertainty.tornado import tornado
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Verdict
from cost_guard.wording import to_decimal
from scripts.crossover.report.charts.canvas import Chart, Theme, above, backed, money_axis
from scripts.crossover.report.words import NAMES, compact_tokens, compact_usd

MOST_NAMES = 3
"""In the title, which must fit the picture."""
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
    """USD over the horizon, a present value."""
    high_saving_usd: Fraction


def data(judged: Judged) -> tuple[Bar, ...]:
    """The widest swing first."""
    return tuple(
        Bar(
            NAMES[swing.name],
            _value(judged, swing.name, swing.low_factor),
            _value(judged, swing.name, swing.high_factor),
            swing.low_saving_usd,
            swing.high_saving_usd,
        )
        for swing in tornado(judged.reading, judged.horizon, judged.sigmas, judged.outlook)
    )


def _value(judged: Judged, name: str, factor: Decimal) -> str:
    reading, by = judged.reading, Fraction(factor)
    if name == "volume":
        return compact_tokens(reading.volume * by)
    if name == "throughput":
        return wording.rate(to_decimal(reading.tokens_per_second_per_node * by))
    if name == "nodePrice":
        return compact_usd(reading.added.cost_usd_per_month * by)
    if name == "apiPrice":
        return f"{wording.usd(to_decimal(reading.usd_per_million * by))}/M"
    if name == "growthPerMonth":
        return f"{wording.percent((1 + judged.horizon.growth_per_month) * factor - 1)} a month"
    return compact_usd(reading.overhead_usd_per_month * by)


def chart(verdict: Verdict) -> Chart:
    """Of a verdict that has figures."""
    judged = verdict.shown
    assert judged is not None
    bars = data(judged)
    expected = judged.tco.managed_usd - judged.tco.self_hosted_usd
    months = wording.count(len(judged.tco.months), "month")
    return Chart(
        title=_title(bars, expected),
        subtitle=f"USD that self-hosting saves over {months}, with one uncertainty alone at its P10 and at its P90.",
        description=" ".join(
            f"{bar.name}: {compact_usd(bar.low_saving_usd)} saved at {bar.low}, {compact_usd(bar.high_saving_usd)} at "
            f"{bar.high}."
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
    if len(turns) > MOST_NAMES:
        return f"Each of {len(turns)} uncertainties alone can make it {'lose' if expected >= 0 else 'pay'}"
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
    axes.set_xlabel("USD saved over the horizon")
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
