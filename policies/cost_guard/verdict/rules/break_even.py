"""Rule break-even: the fleet pays for itself at its projected volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_guard import wording
from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import CaseQuestion, Objection, VerdictRule
from cost_guard.verdict.words import break_even_words, displaced_words, money, none_stable, subject, volume_words
from cost_guard.wording import DOWN, UP, per_million, usd

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from cost_guard.arithmetic.costing import Case


def find(asked: CaseQuestion) -> Objection | None:
    """BLOCK where it does not pay at V; WARN where it pays at V but not at every larger volume."""
    case, stairs, volume = asked.case, asked.case.stairs, asked.case.volume
    if not stairs.pays(volume):
        gap = money(stairs.cost(volume) - stairs.managed(volume))
        words = f"{subject(case)}, {gap}/month too much. {break_even_words(case)} {_flips(case)}"
        return Objection(Level.BLOCK, words)
    band = stairs.losing_after(volume)
    if band is None:
        return None
    lo, nodes = volume_words(band.lo, DOWN), wording.count(stairs.nodes_at(band.lo) + 1, "node")
    pays = f"it pays at {displaced_words(case.scenario)}, but"
    if band.hi is None or stairs.stable is None:
        words = f"{pays} just above {lo} ({nodes}) it would not, and never for good: {none_stable(stairs)}."
        return Objection(Level.WARN, words)
    words = f"{pays} between {lo} and {volume_words(band.hi, UP)} tokens/month ({nodes}) it would not"
    return Objection(Level.WARN, f"{words}; it pays for good from {volume_words(stairs.stable, UP)}.")


def _flips(case: Case) -> str:
    """What would turn the BLOCK: volume, managed price, node price. Bounds are rounded to the safe side."""
    stairs, volume = case.stairs, case.volume
    more = stairs.next_paying(volume)
    by_volume = f"at ≥ {volume_words(more, UP)} tokens/month" if more is not None else "at no larger volume"
    price = to_decimal(stairs.cost(volume) / volume * 10**6)
    room = (stairs.managed(volume) - stairs.overhead) / stairs.nodes_at(volume)
    if room > 0:
        by_node = f"or with a node at ≤ {usd(to_decimal(room), DOWN)}/month"
    else:
        by_node = f"but at no price of a node: the overhead alone is {money(stairs.overhead)}/month"
    return f"It would pay {by_volume}, at a managed price of ≥ {per_million(price, UP)}, {by_node}."


RULE = VerdictRule(
    code="break-even",
    position=10,
    severity=Severity.HIGH,
    demand="A fleet must pay for itself at its projected volume.",
    remedy="Displace more volume, rent fewer or cheaper nodes, or stay managed: the violation says what flips it.",
    key=("workload", "tokensPerMonth"),
    asks=CaseQuestion,
    find=find,
    repair_goes_through=True,
)
