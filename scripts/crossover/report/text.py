"""The report in the terminal: the answer first, then why, the figures, what could change them, and what went in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cost_guard import wording
from cost_guard.arithmetic.uncertainty.tornado import HorizonSwing, tornado
from cost_guard.codes import Level
from cost_guard.verdict.figures import TcoFigures
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Verdict
from cost_guard.wording import to_decimal
from scripts.crossover.report.words import NAMES, compact_usd, crossover_words
from scripts.crossover.shell.output import right_aligned, styled, table

LONGEST_VALUE = 22
"""Characters; a longer one stands with its source."""
BAR = 19
"""The width of the tornado, in characters."""


def show(verdict: Verdict, today: date, out: Console) -> None:
    """Prints everything, for 80 columns, with colour only on a terminal."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(styled(str(verdict.level)), Text(answer(verdict), style="bold"))
    out.print(grid)
    if verdict.reasons:
        reasons = table("level", "code", "reason")
        for reason in verdict.reasons:
            reasons.add_row(styled(str(reason.level)), reason.code, Text(reason.message))
        _section(out, reasons)
    figures = table("", "")
    figures.show_header = False
    figures.columns[0].no_wrap = True
    for name, value in _figures(verdict):
        figures.add_row(Text(name, style="bold"), Text(value))
    _section(out, figures)
    if verdict.options:
        _section(out, _options(verdict))
    if verdict.shown is not None:
        _section(out, _tornado(verdict.shown))
    for note in verdict.notes:
        _section(out, Text(note))
    _section(out, _inputs(verdict, today))
    if defaults := _defaults(verdict):
        _section(out, Text(f"At their defaults: {defaults}."))


def answer(verdict: Verdict) -> str:
    """Whether it pays, in one sentence."""
    ours, theirs = verdict.self_hosted_usd_per_month, verdict.managed_usd_per_month
    if ours is None or theirs is None:
        return f"It is not known whether it pays. {verdict.summary}"
    volume = verdict.displaced_tokens_per_month
    at = "" if volume is None else f" at {wording.tokens(volume)} tokens/month"
    if theirs < ours:
        return f"It does not pay: {wording.usd(ours - theirs)}/month too much{at}."
    blocks = ", ".join(dict.fromkeys(reason.code for reason in verdict.reasons if reason.level is Level.BLOCK))
    return f"It pays: {wording.usd(theirs - ours)}/month saved{at}." + (f" Blocked for: {blocks}." if blocks else "")


def _section(out: Console, shown: Table | Text) -> None:
    out.print()
    out.print(shown)


def _figures(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Name and value, each told once; a line without a name belongs to the one above."""
    yield "self-hosted", _self_hosted(verdict)
    price = verdict.managed_usd_per_million
    yield (
        "managed",
        _usd(verdict.managed_usd_per_month) + ("" if price is None else f" at {wording.per_million(price)}"),
    )
    found = verdict.break_even
    simple, first, stable = (_volume(volume) for volume in (found.simple, found.first, found.stable))
    shown = verdict.shown
    if shown is not None:
        yield "break-even", f"simple {simple}, first {first}, stable {stable} tokens/month"
        yield "  uncertain", _uncertain(verdict)
    yield "capacity", _capacity(verdict)
    if shown is not None:
        yield f"{wording.count(verdict.tco.months, 'month')}", _tco(verdict.tco, shown)
    if verdict.same_weights is not None:
        yield "same weights", _same_weights(verdict)
    if verdict.options:
        yield "recommendation", verdict.recommendation or "none of the options is allowed"
    if verdict.sources_say:
        yield "sources", verdict.sources_say


def _self_hosted(verdict: Verdict) -> str:
    text = _usd(verdict.self_hosted_usd_per_month)
    worst = verdict.worst_case_usd_per_month
    more = (
        f"; at worst {_usd(worst)}, with the gateway's managed budget"
        if worst != verdict.self_hosted_usd_per_month
        else ""
    )
    if verdict.shown is None:
        return f"{text}{more}"
    reading = verdict.shown.reading
    needed, given = reading.nodes_needed, len(reading.nodes)
    if needed == given:
        return f"{text} with {wording.count(needed, 'node')}{more}"
    as_given = f"{_usd(verdict.fixed_usd_per_month)} with the {given:,} given"
    return f"{text} with the {needed:,} nodes that it needs ({as_given}){more}"


def _uncertain(verdict: Verdict) -> str:
    found = verdict.break_even
    quantiles = (("P10", found.p10), ("P50", found.p50), ("P90", found.p90))
    told = ", ".join(f"{name} {_volume(None if at is None else Decimal(at))}" for name, at in quantiles)
    pays, good, horizon = (
        wording.percent(Decimal(share or 0))
        for share in (found.probability_pays, found.probability, found.probability_horizon)
    )
    return f"stable {told}; it pays in {pays} of the draws, for good in {good}, over the horizon in {horizon}"


def _capacity(verdict: Verdict) -> str:
    found = verdict.capacity
    if verdict.shown is None or found.nodes_needed is None or found.tokens_per_second_per_node is None:
        return "unknown"
    survives = "survives" if found.survives_one_loss else "does not survive"
    busy = wording.percent(found.utilisation or Decimal(0))
    return (
        f"{found.nodes_needed:,} needed of {wording.count(len(verdict.shown.reading.nodes), 'node')} at "
        f"{wording.rate(found.tokens_per_second_per_node)} each, {busy} busy on average; {survives} the loss of one"
    )


def _tco(tco: TcoFigures, shown: Judged) -> str:
    if tco.self_hosted_usd is None or tco.managed_usd is None:
        return "unknown"
    gap = tco.managed_usd - tco.self_hosted_usd
    told = f"{_dollars(abs(gap))} {'saved' if gap >= 0 else 'too much'}"
    rate = shown.horizon.discount_rate_per_year
    npv = f" (net present values at {wording.percent(rate)} a year)" if rate else ""
    both = f"self-hosted {_dollars(tco.self_hosted_usd)}, managed {_dollars(tco.managed_usd)}: {told}{npv}"
    return f"{both}; {crossover_words(tco.crossover_month)}"


def _same_weights(verdict: Verdict) -> str:
    same = verdict.same_weights
    assert same is not None
    return f"{_usd(same.usd_per_month)} at {wording.per_million(same.usd_per_million)}: {same.model}"


def _options(verdict: Verdict) -> Table:
    """What else could be done, and what it costs."""
    made = table("option", "a month", f"{wording.count(verdict.tco.months, 'month')}", "allowed", "")
    right_aligned(made, "a month", wording.count(verdict.tco.months, "month"))
    for option in verdict.options:
        month = "unknown" if option.usd_per_month is None else wording.usd(option.usd_per_month.quantize(Decimal(1)))
        horizon = "unknown" if option.horizon_usd is None else _dollars(option.horizon_usd)
        mark = " ←" if option.id == verdict.recommendation else ""
        made.add_row(f"{option.id}{mark}", month, horizon, "yes" if option.allowed else "no", Text(option.why))
    return made


def _tornado(judged: Judged) -> Table:
    expected = judged.tco.managed_usd - judged.tco.self_hosted_usd
    swings = tornado(judged.reading, judged.horizon, judged.sigmas, judged.outlook)
    made = table("if only this is", "at P10", "saved in all", "at P90", "stable, P10 → P90")
    right_aligned(made, "at P10")
    for column in made.columns:
        column.no_wrap = True
    told = [saving for swing in swings for saving in (swing.low_saving_usd, swing.high_saving_usd)]
    told += [expected, Fraction(0)]
    low, high = min(told), max(told)
    for swing in swings:
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


def _exactly(volume: Fraction | None) -> str:
    return _volume(None if volume is None else to_decimal(volume))


def _inputs(verdict: Verdict, today: date) -> Table:
    """What was given or cited; what is left at its default stands below."""
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


def _short(name: str) -> str:
    """Without the catalogue key, with which the source begins."""
    key, _, rest = name.partition(".")
    return key if "/" in rest and not name.startswith("routes.") else name


def _dated(of: date | None, today: date) -> str:
    return "" if of is None else f"{of}, {(today - of).days:,} d" if of <= today else f"{of}, later"


def _defaults(verdict: Verdict) -> str:
    return ", ".join(f"{name} {given.words}" for name, given in verdict.inputs.items() if given.source == "default")


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{wording.usd(amount)}/month"


def _dollars(amount: Decimal) -> str:
    """Whole dollars: the cents of two years are noise."""
    return wording.usd(amount.quantize(Decimal(1)))


def _volume(volume: Decimal | None) -> str:
    return "none" if volume is None else wording.tokens(volume)
