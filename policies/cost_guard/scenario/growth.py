"""Growth from a series of days: the trend of the weeks' logarithms, and a band for it.

A week is one step, so that its rhythm is no trend. With y_i = ln(mean day of week i), i = 0…n−1, and the least-squares
slope b of y over i:

    growth per month = e^(b·M) − 1,   M = 730/168 weeks
    P10, P90         = e^((b ∓ t·s_b)·M) − 1,   s_b = sqrt(Σ(y_i − ŷ_i)²/(n − 2) / Σ(i − ī)²)

t is Student's 0.9 quantile with n − 2 degrees of freedom. The band tells how well these weeks know their own trend, as
if the weeks erred independently; it does not tell that the trend goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from math import exp, log, sqrt

from cost_guard.units import HOURS_PER_MONTH

WEEK_DAYS = 7
LEAST_WEEKS, MOST_WEEKS = 4, 26
"""Fewer leave one degree of freedom; before half a year ago it was another product."""
LEAST_DAYS = 4
"""Of a week, that its mean may stand for it."""
LEAST_PER_MONTH, MOST_PER_MONTH = -0.9999, 1000.0
"""What is beyond is told as this."""
WEEKS_PER_MONTH = float(Fraction(HOURS_PER_MONTH) / (24 * WEEK_DAYS))
T_P90 = (1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345, 1.341, 1.337, 1.333,
         1.330, 1.328, 1.325, 1.323, 1.321, 1.319, 1.318)  # fmt: skip
"""Student's 0.9 quantile for 2, 3, … 24 degrees of freedom."""


def growth_of(days: Sequence[tuple[date, int]]) -> dict[str, float | int] | None:
    """The keys of `MeasuredGrowth` from days and their tokens, in order; None where there are fewer than four weeks in
    a row with tokens."""
    means = _weeks(days)
    if len(means) < LEAST_WEEKS:
        return None
    y, n = [log(mean) for mean in means], len(means)
    center, middle = (n - 1) / 2, sum(y) / n
    across = sum((i - center) ** 2 for i in range(n))
    slope = sum((i - center) * (y_i - middle) for i, y_i in enumerate(y)) / across
    rest = sum((y_i - middle - slope * (i - center)) ** 2 for i, y_i in enumerate(y))
    error = T_P90[n - 2 - 2] * sqrt(rest / (n - 2) / across)
    return {
        "perMonth": _per_month(slope),
        "low": _per_month(slope - error),
        "high": _per_month(slope + error),
        "weeks": n,
    }


def _weeks(days: Sequence[tuple[date, int]]) -> list[float]:
    """The mean day of each week, the oldest first; counted back from the last day, up to one that does not tell."""
    if not days:
        return []
    found: dict[int, list[int]] = {}
    last = days[-1][0]
    for day, tokens in days:
        found.setdefault((last - day) // timedelta(days=WEEK_DAYS), []).append(tokens)
    means: list[float] = []
    for back in range(MOST_WEEKS):
        week = found.get(back, [])
        if len(week) < LEAST_DAYS or not sum(week):
            break
        means.insert(0, sum(week) / len(week))
    return means


def _per_month(slope: float) -> float:
    growth = exp(min(slope * WEEKS_PER_MONTH, log(MOST_PER_MONTH + 1))) - 1  # or exp overflows
    return round(min(max(growth, LEAST_PER_MONTH), MOST_PER_MONTH), 4)
