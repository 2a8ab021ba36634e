"""How likely it pays for good, by the projected volume: what volume the gate asks for.

This, and not the band of cumulative costs, because it is what the gate judges: both sides' costs depend on the same
volume, so that their bands overlap even where one is always the cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isinf

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from cost_guard import wording
from cost_guard.arithmetic.draws import needed_volumes
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.rules.probability import EVEN_ODDS, LIKELY
from cost_guard.verdict.verdict import Verdict
from cost_guard.wording import to_decimal
from scripts.crossover.report.charts.canvas import Chart, Theme, above, beside, volume_axis
from scripts.crossover.report.words import compact_tokens

POINTS = 240
"""Of the curve."""


@dataclass(frozen=True)
class ProbabilityData:
    """What is drawn. Volumes are tokens per month, shares are of the draws."""

    curve: tuple[tuple[float, float], ...]
    volume: float
    share: float
    """At `volume`."""
    even: float | None
    """The volume from which half of the draws pay for good; None where none does."""
    likely: float | None


def data(judged: Judged) -> ProbabilityData:
    """From the draws themselves."""
    needed = needed_volumes(judged.reading, judged.beside, judged.sigmas)
    volume = float(judged.reading.volume)
    even, likely = (_at(needed[ceil(share * len(needed)) - 1]) for share in (EVEN_ODDS, LIKELY))
    to = 1.25 * max(volume, likely or even or 0.0)
    places = np.linspace(0, to, POINTS + 1)
    shares = np.searchsorted(needed, places, side="right") / len(needed)
    share = float(np.searchsorted(needed, volume, side="right") / len(needed))
    return ProbabilityData(tuple(zip(places.tolist(), shares.tolist(), strict=True)), volume, share, even, likely)


def _at(volume: float) -> float | None:
    return None if isinf(volume) else float(volume)


def chart(verdict: Verdict) -> Chart:
    """Of a verdict that has figures."""
    judged = verdict.shown
    assert judged is not None
    drawn = data(judged)
    share = _percent(verdict.break_even.probability or 0.0)
    title = f"{share} likely to pay for good at {compact_tokens(judged.reading.volume)} tokens/month"
    if drawn.even is None:
        title = "No volume makes it likely to pay for good"
    draws = judged.sigmas.draws
    return Chart(
        title=title,
        subtitle=f"Share of {draws:,} draws in which the volume reaches its stable break-even, by projected volume.",
        description=f"{title}. {_needs(drawn.even, EVEN_ODDS)} {_needs(drawn.likely, LIKELY)}",
        paint=lambda axes, theme: _paint(axes, theme, drawn, share),
    )


def _needs(volume: float | None, share: float) -> str:
    if volume is None:
        return f"No volume makes it {_percent(share)} likely."
    return f"It is {_percent(share)} likely from {compact_tokens(Fraction(volume))} tokens/month."


def _percent(share: float) -> str:
    return wording.percent(to_decimal(Fraction(share)))


def _paint(axes: Axes, theme: Theme, drawn: ProbabilityData, share: str) -> None:
    volume_axis(axes, drawn.curve[-1][0])
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.percent(to_decimal(Fraction(value)), 0)))
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    axes.axhspan(0, EVEN_ODDS, color=theme.theirs, alpha=0.12, linewidth=0)
    axes.axhspan(EVEN_ODDS, LIKELY, color=theme.theirs, alpha=0.05, linewidth=0)
    axes.plot([x for x, _ in drawn.curve], [y for _, y in drawn.curve], color=theme.ours, linewidth=2.4)
    for volume, height in ((drawn.even, EVEN_ODDS), (drawn.likely, LIKELY)):
        if volume is not None:
            axes.plot(volume, height, "o", markersize=7, markeredgewidth=1.6, markeredgecolor=theme.ours,
                      markerfacecolor=theme.background)  # fmt: skip
            words = f"{_percent(height)} from {compact_tokens(Fraction(volume))}"
            beside(axes, (volume, height), words, theme, below=volume > drawn.volume and height == EVEN_ODDS)
    axes.axvline(drawn.volume, color=theme.text, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.plot(drawn.volume, drawn.share, "o", markersize=8, color=theme.text)
    above(axes, drawn.volume, f"projected {compact_tokens(Fraction(drawn.volume))}: {share}", theme.text)
    for height, words in ((EVEN_ODDS / 2, "blocks"), ((EVEN_ODDS + LIKELY) / 2, "warns"), ((1 + LIKELY) / 2, "passes")):
        axes.annotate(words, (drawn.curve[-1][0], height), xytext=(7, 0), textcoords="offset points",
                      color=theme.muted, va="center", annotation_clip=False)  # fmt: skip
