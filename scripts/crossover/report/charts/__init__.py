"""The charts of a verdict: each as SVG and PNG, for a light and for a dark page. Needs a verdict with a `case`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.charts import probability, staircase, tco, tornado
from scripts.crossover.report.charts.canvas import DARK, LIGHT, Chart, render

CHARTS: dict[str, Callable[[Verdict], Chart]] = {
    "staircase": staircase.chart,
    "tornado": tornado.chart,
    "tco": tco.chart,
    "probability": probability.chart,
}
"""By the name of their files."""


def write(verdict: Verdict, folder: Path) -> list[Path]:
    """Writes NAME.svg, NAME.png, NAME-dark.svg and NAME-dark.png of each; returns their paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, make in CHARTS.items():
        chart = make(verdict)
        for theme, suffix in ((LIGHT, ""), (DARK, "-dark")):
            svg, png = render(chart, theme)
            for content, kind in ((svg, "svg"), (png, "png")):
                path = folder / f"{name}{suffix}.{kind}"
                path.write_bytes(content)
                written.append(path)
    return written
