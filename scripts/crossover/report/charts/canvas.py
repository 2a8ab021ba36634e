"""What the charts have in common: themes, axes, and the same bytes for the same figures.

Each chart has an own file for light and for dark pages, on its page's own background: colours that hold on both would
be grey on each. Only the Agg and SVG backends are used, and no state of pyplot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from cost_guard import wording
from scripts.crossover.report.words import compact_usd

WIDTH, HEIGHT = 8.0, 4.5
"""Inches."""
DPI = 160
RIGHT = 0.815
"""The right edge of the plot, as a share of the width."""
NICE = [1, 2, 2.5, 5, 10]
"""Ticks lie on multiples of these."""
STYLE: dict[Any, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial", "sans-serif"],  # matplotlib brings the first
    "font.size": 10,
    "svg.hashsalt": "crossover",
    "svg.fonttype": "none",  # text stays text: to be found, read aloud and reviewed; a fifth of the size
}


@dataclass(frozen=True)
class Theme:
    """Colours on a background: all but `grid` have a contrast of 4.5 or more. The two sides are blue and orange, which
    the colour-blind tell apart, and differ in lightness."""

    background: str
    text: str
    muted: str
    ours: str
    """Self-hosted; better."""
    theirs: str
    """Managed; worse."""
    grid: str
    """Decoration: nothing depends on it."""


LIGHT = Theme("#ffffff", "#1f2328", "#59636e", "#00558c", "#c25100", "#e4e8ec")
DARK = Theme("#0d1117", "#e6edf3", "#9aa4af", "#7cc7f2", "#d17a1e", "#262c34")


@dataclass(frozen=True)
class Chart:
    """One chart: what it says, and how it is painted."""

    title: str
    """The statement that it makes."""
    subtitle: str
    """What is drawn, in which unit."""
    description: str
    """In place of the picture, for who cannot see it."""
    paint: Callable[[Axes, Theme], None]
    left: float = 0.085
    """The left edge of the plot, as a share of the width."""
    height: float = 0.645
    """Of the plot, as a share of the picture's; less leaves room for a second line of the subtitle."""


def render(chart: Chart, theme: Theme) -> tuple[bytes, bytes]:
    """SVG and PNG."""
    with _own_style():
        figure = figure_of(chart, theme)
        svg, png = BytesIO(), BytesIO()
        # No creator and no date: the same figures give the same bytes. PNG first: SVG sets the figure to 72 dpi.
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        # 256 colours are enough for a few and their mixtures at edges, and a third of the size.
        Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(dither=Image.Dither.NONE).save(
            png, "PNG", optimize=True, dpi=(DPI, DPI)
        )
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Title": chart.title, "Date": None, "Creator": None})
    return _described(svg.getvalue(), chart), png.getvalue()


@contextmanager
def _own_style() -> Iterator[None]:
    """Whatever matplotlibrc says, and without a trace afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def figure_of(chart: Chart, theme: Theme) -> Figure:
    """The painted figure, which knows nothing of pyplot."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor=theme.background)
    axes = figure.add_axes((chart.left, 0.125, RIGHT - chart.left, chart.height), facecolor=theme.background)
    figure.text(0.02, 0.955, chart.title, color=theme.text, size=14.5, weight="bold", va="top")
    figure.text(0.02, 0.878, chart.subtitle, color=theme.muted, size=9.5, va="top")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.muted)
    axes.tick_params(colors=theme.muted, length=0, labelsize=9.5)
    axes.xaxis.label.set_color(theme.muted)
    axes.set_axisbelow(True)
    chart.paint(axes, theme)
    return figure


def _described(svg: bytes, chart: Chart) -> bytes:
    """With a role and a description, which matplotlib's metadata do not bring to a screen reader."""
    text = svg.decode().replace("<svg ", '<svg role="img" aria-labelledby="title desc" ', 1)
    title = escape(chart.title, quote=False)
    wanted = f'<title id="title">{title}</title>\n <desc id="desc">{escape(chart.description, quote=False)}</desc>'
    return text.replace(f"<title>{title}</title>", wanted, 1).encode()


def money_axis(axes: Axes, theme: Theme, which: str = "y") -> None:
    """Ticks in USD, with a light line each."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(6, steps=NICE))
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact_usd(Decimal(repr(round(float(value), 6))))))
    axes.grid(axis="y" if which == "y" else "x", color=theme.grid, linewidth=0.8)


def volume_axis(axes: Axes, to: float) -> None:
    """Ticks in tokens per month from 0: "4B"."""
    axes.set_xlim(0, to)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.tokens(Decimal(round(float(value))))))
    axes.set_xlabel("tokens per month")


def label_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names lines at their right ends: (height, words, colour), pushed apart where they would overlap."""
    low, high = axes.get_ylim()
    ends = sorted(ends)
    room = (high - low) * 0.065 * max(words.count("\n") + 1 for _, words, _ in ends)
    heights = [height for height, _, _ in ends]
    for place in range(1, len(heights)):
        short = room - (heights[place] - heights[place - 1])
        if short > 0:
            heights[place - 1] -= short / 2
            heights[place] += short / 2
    for height, (_, words, colour) in zip(heights, ends, strict=True):
        axes.annotate(
            words,
            (axes.get_xlim()[1], height),
            xytext=(7, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            annotation_clip=False,
            linespacing=1.25,
        )


def above(axes: Axes, x: float, words: str, colour: str) -> None:
    """Words above the plot at `x`, kept within it."""
    low, high = axes.get_xlim()
    share = (x - low) / (high - low)
    side = "left" if share < 0.2 else "right" if share > 0.8 else "center"
    axes.text(x, 1.015, words, transform=axes.get_xaxis_transform(), color=colour, ha=side, va="bottom", size=9.5)


def beside(axes: Axes, point: tuple[float, float], words: str, theme: Theme, *, below: bool) -> None:
    """Words below and right of a point, or above and left of it: where a rising curve leaves room."""
    low, high = axes.get_xlim()
    left = not below and (point[0] - low) / (high - low) > 0.2
    axes.annotate(
        words,
        point,
        xytext=(-8 if left else 8, -9 if below else 6),
        textcoords="offset points",
        color=theme.text,
        ha="right" if left else "left",
        va="top" if below else "bottom",
        size=9.5,
        linespacing=1.25,
        bbox=backed(theme),
        annotation_clip=False,
    )


def backed(theme: Theme) -> dict[str, Any]:
    """The box behind words that may stand on a line."""
    return {"boxstyle": "square,pad=0.15", "facecolor": theme.background, "edgecolor": "none", "alpha": 0.8}
