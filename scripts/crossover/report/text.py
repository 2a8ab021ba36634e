"""The report in the terminal: the answer and the options first, then what decides, what would flip it, and the rest."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cost_guard import wording
from cost_guard.codes import Level
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report import tables
from scripts.crossover.report.figures import figures
from scripts.crossover.report.words import dollars
from scripts.crossover.shell.output import styled, table


def show(verdict: Verdict, today: date, out: Console) -> None:
    """Prints everything, for 80 columns, with colour only on a terminal. Of several models: the sum, then each."""
    if not verdict.models:
        _show(verdict, today, out)
        return
    _head(verdict, answer(verdict), out)
    _section(out, tables.models(verdict))
    for one in verdict.models:
        _section(out, Text(f"== {one.name}", style="bold"))
        out.print()
        _show(one, today, out)


def _show(verdict: Verdict, today: date, out: Console) -> None:
    _head(verdict, answer(verdict), out)
    if verdict.options:
        _section(out, tables.options(verdict))
    # What decides, and what else is to be known: the worst are of one level.
    worst = max((reason.level.rank for reason in verdict.reasons), default=0)
    deciding = [reason for reason in verdict.reasons if reason.level.rank == worst]
    if deciding:
        _section(out, tables.reasons(deciding))
    if verdict.shown is not None:
        _section(out, tables.flips(verdict.shown))
    others = [reason for reason in verdict.reasons if reason not in deciding]
    if others:
        _section(out, tables.reasons(others))
    _section(out, _figures(verdict))
    if verdict.shown is not None:
        _section(out, tables.swings(verdict.shown))
    for note in verdict.notes:
        _section(out, Text(note))
    _section(out, tables.inputs(verdict, today))
    if defaults := tables.defaults(verdict):
        _section(out, Text(defaults))


def _head(verdict: Verdict, sentence: str, out: Console) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(styled(str(verdict.level)), Text(sentence, style="bold"))
    out.print(grid)


def answer(verdict: Verdict) -> str:
    """Whether it pays, a month and over the horizon, and what blocks although it does."""
    ours, theirs = verdict.self_hosted_usd_per_month, verdict.managed_usd_per_month
    if ours is None or theirs is None:
        return f"It is not known whether it pays. {verdict.summary}"
    volume = verdict.displaced_tokens_per_month
    at = "" if volume is None else f" at {wording.tokens(volume)} tokens/month"
    blocks = ", ".join(dict.fromkeys(reason.code for reason in verdict.reasons if reason.level is Level.BLOCK))
    said = _pays(theirs - ours, _over(verdict), at, wording.count(verdict.tco.months, "month"))
    if blocks and said.startswith(PAYS):
        return f"Blocked for {blocks}, though it pays{said.removeprefix(PAYS)}"
    return f"{said}{f' Blocked for: {blocks}.' if blocks else ''}"


PAYS = "It pays"


def _over(verdict: Verdict) -> Decimal | None:
    """What the horizon saves."""
    ours, theirs = verdict.tco.self_hosted_usd, verdict.tco.managed_usd
    return None if ours is None or theirs is None else theirs - ours


def _pays(month: Decimal, over: Decimal | None, at: str, months: str) -> str:
    """One sentence of both: a month that saves does not make a purchase that pays."""
    gap = wording.usd(abs(month))
    if over is None:
        return f"{PAYS}: {gap}/month saved{at}." if month >= 0 else f"It does not pay: {gap}/month too much{at}."
    whole = dollars(abs(over))
    if month >= 0 and over >= 0:
        return f"{PAYS}: {gap}/month saved{at}, {whole} over {months}."
    if month >= 0:
        return f"It does not pay over {months}: {whole} too much, though {gap}/month are saved{at}."
    if over >= 0:
        return f"It does not pay yet: {gap}/month too much{at}, though {months} save {whole}."
    return f"It does not pay: {gap}/month too much{at}, {whole} over {months}."


def _section(out: Console, shown: Table | Text) -> None:
    out.print()
    out.print(shown)


def _figures(verdict: Verdict) -> Table:
    made = table("", "")
    made.show_header = False
    made.columns[0].no_wrap = True
    for name, value in figures(verdict):
        made.add_row(Text(name, style="bold"), Text(value))
    return made
