"""The tables of the report in the terminal, for 80 columns."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

from rich.table import Table
from rich.text import Text

from cost_guard import wording
from cost_guard.arithmetic.uncertainty.tornado import HorizonSwing, tornado
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Reason, Verdict
from cost_guard.wording import to_decimal
from scripts.crossover.report.edges import edges
from scripts.crossover.report.words import NAMES, compact_usd, dollars, volume
from scripts.crossover.shell.output import right_aligned, styled, table

LONGEST_VALUE = 22
"""Characters; a longer one stands with its source."""
BAR = 19
"""The width of the tornado, in characters."""


def options(verdict: Verdict) -> Table:
    """The six ways to serve the volume, in order; the cheapest that is allowed has an arrow."""
    over = wording.count(verdict.tco.months, "month")
    made = table("", "option", "a month", over, "allowed", "")
    right_aligned(made, "a month", over)
    for column in made.columns[:5]:
        column.no_wrap = True
    for option in verdict.options:
        month = "unknown" if option.usd_per_month is None else wording.usd(option.usd_per_month.quantize(Decimal(1)))
        horizon = "unknown" if option.horizon_usd is None else dollars(option.horizon_usd)
        best = option.id == verdict.recommendation
        mark, style = ("→", "bold") if best else ("", "")
        made.add_row(mark, Text(option.id, style), month, horizon, "yes" if option.allowed else "no", Text(option.why))
    return made


def models(verdict: Verdict) -> Table:
    """Each model of several, before its own report."""
    made = table("level", "model", "self-hosted", "managed", "recommended")
    right_aligned(made, "self-hosted", "managed")
    for one in verdict.models:
        ours, theirs = (
            "unknown" if usd is None else dollars(usd)
            for usd in (one.self_hosted_usd_per_month, one.managed_usd_per_month)
        )
        made.add_row(styled(str(one.level)), Text(one.name), ours, theirs, one.recommendation or "none")
    return made


def reasons(found: list[Reason]) -> Table:
    """A line each, as everywhere."""
    made = table("level", "code", "reason")
    for reason in found:
        made.add_row(styled(str(reason.level)), reason.code, Text(reason.message))
    return made


def flips(judged: Judged) -> Table:
    """Where it pays, by one figure alone."""
    months = wording.count(len(judged.tco.months), "month")
    made = table("it pays with", "now", "in a month", f"over {months}")
    for edge in edges(judged):
        made.add_row(edge.name, edge.now, Text(edge.month), Text(edge.horizon))
    return made


def swings(judged: Judged) -> Table:
    """The tornado, in characters."""
    expected = judged.tco.managed_usd - judged.tco.self_hosted_usd
    found = tornado(judged.reading, judged.horizon, judged.sigmas, judged.outlook)
    made = table("if only this is", "at P10", "saved in all", "at P90", "stable, P10 → P90")
    right_aligned(made, "at P10")
    for column in made.columns:
        column.no_wrap = True
    told = [saving for swing in found for saving in (swing.low_saving_usd, swing.high_saving_usd)]
    told += [expected, Fraction(0)]
    low, high = min(told), max(told)
    for swing in found:
        made.add_row(
            NAMES[swing.name],
            compact_usd(swing.low_saving_usd),
            bar(swing, expected, low, high),
            compact_usd(swing.high_saving_usd),
            _stable_range(swing),
        )
    made.add_row("as expected", "", _axis(low, high), compact_usd(expected), _exactly(judged.reading.stable))
    return made


def bar(swing: HorizonSwing, expected: Fraction, low: Fraction, high: Fraction) -> str:
    """BAR characters from `low` to `high` USD: what it spans is filled, with │ at what is expected."""
    begin, end = sorted(_cell(value, low, high) for value in (swing.low_saving_usd, swing.high_saving_usd))
    at = _cell(expected, low, high)
    cells = ["█" if begin <= cell <= end and begin != end else " " for cell in range(BAR)]
    cells[at] = "│"
    return "".join(cells)


def _axis(low: Fraction, high: Fraction) -> str:
    zero = _cell(Fraction(0), low, high)
    return "".join("0" if cell == zero else "·" for cell in range(BAR))


def _cell(value: Fraction, low: Fraction, high: Fraction) -> int:
    return 0 if high == low else round((value - low) / (high - low) * (BAR - 1))


def _stable_range(swing: HorizonSwing) -> str:
    low, high = swing.low_stable, swing.high_stable
    return _exactly(low) if low == high else f"{_exactly(low)} → {_exactly(high)}"


def _exactly(found: Fraction | None) -> str:
    return volume(None if found is None else to_decimal(found))


def inputs(verdict: Verdict, today: date) -> Table:
    """What was given or cited; what is left at its default stands in `defaults`."""
    made = table("input", "value", "dated", "source")
    right_aligned(made, "value")
    for column in made.columns[:3]:
        column.no_wrap = True
    cited: tuple[str, date | None] | None = None
    for name, given in verdict.inputs.items():
        if name == "today" or given.source == "default":
            continue
        again = (given.source, given.date) == cited and given.date is not None
        cited = (given.source, given.date)
        value, source = given.words, '"' if again else given.source
        if len(value) > LONGEST_VALUE:
            value, source = "", f"{value}, {source}"
        made.add_row(_short(name), value, _dated(given.date, today), Text(source))
    return made


def defaults(verdict: Verdict) -> str:
    """In one sentence; empty where everything was given."""
    told = ", ".join(f"{name} {given.words}" for name, given in verdict.inputs.items() if given.source == "default")
    return f"At their defaults: {told}." if told else ""


def _short(name: str) -> str:
    """Without the catalogue key, with which the source begins."""
    key, _, rest = name.partition(".")
    return key if "/" in rest and not name.startswith("routes.") else name


def _dated(of: date | None, today: date) -> str:
    return "" if of is None else f"{of}, {(today - of).days:,} d" if of <= today else f"{of}, later"
