"""The cumulative cost of both sides over the horizon, and the month in which they meet."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cost_guard import wording
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.charts.canvas import Chart, Theme, beside, label_ends, money_axis
from scripts.crossover.report.words import compact_usd, crossover_words

Point = tuple[Fraction, Fraction]
"""Months, USD, undiscounted."""


@dataclass(frozen=True)
class TcoData:
    """What is drawn."""

    self_hosted: tuple[Point, ...]
    """What is paid up front stands as a step at the month's beginning."""
    managed: tuple[Point, ...]
    crossover: Point | None
    """Where they meet; None where they do not, or where self-hosting is cheaper from the first day."""

    @property
    def saving(self) -> Fraction:
        """USD at the end."""
        return self.managed[-1][1] - self.self_hosted[-1][1]


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
    at = found.crossover_month
    return TcoData(tuple(ours), tuple(theirs), (at, _on(theirs, at)) if at else None)


def _on(line: list[Point], at: Fraction) -> Fraction:
    """The managed sum at a point between two months."""
    month = min(int(at), len(line) - 2)
    (begin, low), (end, high) = line[month], line[month + 1]
    return low + (high - low) * (at - begin) / (end - begin)


def chart(verdict: Verdict) -> Chart:
    """Of a verdict that has figures."""
    assert verdict.shown is not None
    drawn = data(verdict.shown)
    months = wording.count(verdict.tco.months, "month")
    gap = f"{'saves' if drawn.saving >= 0 else 'costs'} {compact_usd(abs(drawn.saving))}"
    title = f"Over {months} self-hosting {gap}{'' if drawn.saving >= 0 else ' more'}"
    when = crossover_words(verdict.tco.crossover_month)
    return Chart(
        title=title,
        subtitle=f"Cumulative cost in USD, undiscounted; {when}.{_present_value(verdict, verdict.shown)}",
        description=f"{title}: {compact_usd(drawn.self_hosted[-1][1])} self-hosted against "
        f"{compact_usd(drawn.managed[-1][1])} managed; {when}.",
        paint=lambda axes, theme: _paint(axes, theme, drawn),
    )


def _present_value(verdict: Verdict, judged: Judged) -> str:
    rate, tco = judged.horizon.discount_rate_per_year, verdict.tco
    if not rate or tco.managed_usd is None or tco.self_hosted_usd is None:
        return ""
    return f" Net present value at {wording.percent(rate)}: {compact_usd(tco.managed_usd - tco.self_hosted_usd)}."


def _paint(axes: Axes, theme: Theme, drawn: TcoData) -> None:
    last, ours, theirs = float(drawn.managed[-1][0]), drawn.self_hosted[-1][1], drawn.managed[-1][1]
    axes.set_xlim(0, last)
    axes.set_ylim(0, float(max(ours, theirs)) * 1.06)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, steps=[1, 2, 3, 6, 10]))
    axes.set_xlabel("months")
    money_axis(axes, theme)
    for line, colour in ((drawn.managed, theme.theirs), (drawn.self_hosted, theme.ours)):
        axes.plot([float(x) for x, _ in line], [float(y) for _, y in line], color=colour, linewidth=2.2, clip_on=False)
    if drawn.crossover is not None:
        x, y = (float(value) for value in drawn.crossover)
        axes.plot(x, y, "o", markersize=8, color=theme.text)
        beside(axes, (x, y), f"they meet in\nmonth {x:.2f}", theme, below=False)
    label_ends(
        axes,
        [
            (float(ours), f"self-hosted\n{compact_usd(ours)}", theme.ours),
            (float(theirs), f"managed\n{compact_usd(theirs)}", theme.theirs),
        ],
    )
