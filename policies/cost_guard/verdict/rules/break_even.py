"""Rule break-even: the fleet pays for itself at its projected volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_guard import wording
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, ReadingQuestion, VerdictRule
from cost_guard.verdict.words import (
    break_even_words,
    displaced_words,
    money,
    none_stable,
    price_words,
    subject,
    volume_words,
)  # fmt: skip
from cost_guard.wording import DOWN, UP, to_decimal, usd

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from fractions import Fraction

    from cost_guard.arithmetic.reading import Reading


def find(asked: ReadingQuestion) -> Objection | None:
    """BLOCK where it does not pay at V; WARN where it pays at V but not at every larger volume."""
    reading, scenario = asked.judged.reading, asked.proposal.scenario
    volume = reading.volume
    if not reading.pays(volume):
        gap = money(reading.cost(volume) - reading.managed(volume))
        words = f"{subject(scenario, reading)}, {gap}/month too much. {break_even_words(reading)} {_flips(reading)}"
        return Objection(Level.BLOCK, f"{words}{_later(asked)}")
    band = reading.losing_after(volume)
    if band is None:
        return None
    lo, nodes = volume_words(band.lo, DOWN), wording.count(_nodes_above(reading, band.lo), "node")
    pays = f"it pays at {displaced_words(scenario)}, but"
    if band.hi is None or reading.stable is None:
        words = f"{pays} just above {lo} ({nodes}) it would not, and never for good: {none_stable(reading)}."
        return Objection(Level.WARN, words)
    words = f"{pays} between {lo} and {volume_words(band.hi, UP)} tokens/month ({nodes}) it would not"
    return Objection(Level.WARN, f"{words}; it pays for good from {volume_words(reading.stable, UP)}.")


def _nodes_above(reading: Reading, volume: Fraction) -> int:
    """Just above an edge of the staircase."""
    return len(reading.nodes) + reading.added_at(volume + 1)


def _flips(reading: Reading) -> str:
    """What would turn the BLOCK: volume, managed price, node price. Bounds are rounded to the safe side."""
    volume, nodes = reading.volume, reading.nodes_needed
    more = reading.next_paying(volume)
    by_volume = f"at ≥ {volume_words(more, UP)} tokens/month" if more is not None else "at no larger volume"
    price = reading.cost(volume) / volume * 10**6
    besides = reading.overhead_usd_per_month + reading.usd_per_node_month * nodes
    room = (reading.managed(volume) - besides) / nodes
    if room > 0:
        alike = len(set(reading.nodes)) == 1
        each = f"{usd(to_decimal(room), DOWN)}/month"
        by_node = f"or with a node at ≤ {each}" if alike else f"or with nodes at ≤ {each} on average"
    else:
        by_node = f"but at no price of a node: the overhead alone is {money(besides)}/month"
    return f"It would pay {by_volume}, at a managed price of ≥ {price_words(price, UP)}, {by_node}."


def _later(asked: ReadingQuestion) -> str:
    """In which month growth makes it pay."""
    month = asked.judged.tco.switch_month
    return "" if month is None else f" As the volume grows, it pays in every month from month {month} on."


RULE = VerdictRule(
    code="break-even",
    position=10,
    severity=Severity.HIGH,
    demand="A fleet must pay for itself at its projected volume.",
    remedy="Displace more volume, rent fewer or cheaper nodes, or stay managed: the violation says what flips it.",
    key=("workload", "tokensPerMonth"),
    asks=ReadingQuestion,
    find=find,
    repair_goes_through=True,
)
