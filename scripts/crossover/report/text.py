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
from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.arithmetic.costing import Case
from cost_guard.arithmetic.montecarlo import Swing, tornado
from cost_guard.codes import Level
from cost_guard.verdict.recommendation import MANAGED_BELOW_USD, OPTIMISE_TO_USD
from cost_guard.verdict.verdict import Tco, Verdict
from cost_guard.verdict.words import displaced_words, money
from scripts.crossover.report.words import NAMES, compact_usd, crossover_words
from scripts.crossover.shell.output import right_aligned, styled, table

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
    if verdict.case is not None:
        _section(out, _tornado(verdict.case))
    for note in verdict.notes:
        _section(out, Text(note))
    _section(out, _inputs(verdict, today))
    if defaults := _defaults(verdict):
        _section(out, Text(f"At their defaults: {defaults}."))


def answer(verdict: Verdict) -> str:
    """Whether it pays, in one sentence."""
    case = verdict.case
    if case is None:
        return f"It is not known whether it pays. {verdict.summary}"
    saving = case.stairs.managed(case.volume) - case.stairs.cost(case.volume)
    at = f"at {displaced_words(case.scenario)}"
    if saving < 0:
        return f"It does not pay: {money(-saving)}/month too much {at}."
    blocks = ", ".join(reason.code for reason in verdict.reasons if reason.level is Level.BLOCK)
    return f"It pays: {money(saving)}/month saved {at}." + (f" Blocked for: {blocks}." if blocks else "")


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
    if verdict.case is not None:
        yield "break-even", f"simple {simple}, first {first}, stable {stable} tokens/month"
        yield "  uncertain", _uncertain(verdict, verdict.case)
    yield "capacity", _capacity(verdict)
    if verdict.case is not None:
        yield f"{wording.count(verdict.tco.months, 'month')}", _tco(verdict.tco, verdict.case)
    yield "recommendation", f"{verdict.recommendation}: {_why(verdict)}"


def _self_hosted(verdict: Verdict) -> str:
    case = verdict.case
    if case is None:
        return "unknown"
    text = _usd(verdict.self_hosted_usd_per_month)
    needed = case.stairs.nodes_at(case.volume)
    if needed == case.stairs.nodes:
        return f"{text} with {wording.count(needed, 'node')}"
    given = f"{_usd(verdict.fixed_usd_per_month)} with the {case.stairs.nodes:,} given"
    return f"{text} with the {needed:,} nodes that it needs ({given})"


def _uncertain(verdict: Verdict, case: Case) -> str:
    found, draws = verdict.break_even, case.scenario.uncertainty.draws
    quantiles = (("P10", found.p10), ("P50", found.p50), ("P90", found.p90))
    told = ", ".join(f"{name} {_volume(None if at is None else Decimal(at))}" for name, at in quantiles)
    share = wording.percent(Decimal(found.probability or 0))
    return f"stable {told}; the volume reaches it in {share} of {draws:,} draws"


def _capacity(verdict: Verdict) -> str:
    found = verdict.capacity
    if verdict.case is None or found.nodes_needed is None or found.tokens_per_second_per_node is None:
        return "unknown"
    survives = "survives" if found.survives_one_loss else "does not survive"
    busy = wording.percent(found.utilisation or Decimal(0))
    return (
        f"{found.nodes_needed:,} needed of {wording.count(verdict.case.stairs.nodes, 'node')} at "
        f"{wording.rate(found.tokens_per_second_per_node)} each, {busy} busy on average; {survives} the loss of one"
    )


def _tco(tco: Tco, case: Case) -> str:
    if tco.self_hosted_usd is None or tco.managed_usd is None:
        return "unknown"
    gap = tco.managed_usd - tco.self_hosted_usd
    told = f"{_dollars(abs(gap))} {'saved' if gap >= 0 else 'too much'}"
    rate = case.scenario.horizon.discount_rate_per_year
    npv = f" (net present values at {wording.percent(rate)} a year)" if rate else ""
    both = f"self-hosted {_dollars(tco.self_hosted_usd)}, managed {_dollars(tco.managed_usd)}: {told}{npv}"
    return f"{both}; {crossover_words(tco.crossover_month)}"


def _why(verdict: Verdict) -> str:
    """Of the recommendation; its rules are `cost_guard.verdict.recommendation`'s."""
    low, high = wording.usd(MANAGED_BELOW_USD), wording.usd(OPTIMISE_TO_USD)
    spend = verdict.managed_usd_per_month
    if verdict.recommendation == "managed":
        return "the managed spend is not known" if spend is None else f"the managed spend is below {low}/month"
    if verdict.recommendation == "optimise-routing":
        return f"the managed spend is {low} to {high}/month; cheaper models for easy requests come first"
    if verdict.recommendation == "hybrid":
        return f"the managed spend is above {high}/month, but the verdict is no PASS, or there is no ML team"
    if spend is not None and spend > OPTIMISE_TO_USD:
        return f"the managed spend is above {high}/month, or residency or a fine-tuned model asks for it"
    return "residency or a fine-tuned model asks for it"


def _tornado(case: Case) -> Table:
    expected = case.stairs.managed(case.volume) - case.stairs.cost(case.volume)
    swings = tornado(case)
    made = table("if only this is", "at P10", "saved a month", "at P90", "stable, P10 → P90")
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
    made.add_row("as expected", "", _axis(low, high), compact_usd(expected), _exactly(case.stairs.stable))
    return made


def bar(swing: Swing, expected: Fraction, low: Fraction, high: Fraction) -> str:
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


def _stable_range(swing: Swing) -> str:
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
        made.add_row(name, given.words, _dated(given.date, today), Text('"' if again else given.source))
    return made


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
