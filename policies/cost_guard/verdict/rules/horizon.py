"""Rule horizon: over its months the fleet costs no more than the managed API."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from cost_guard import wording
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, ReadingQuestion, VerdictRule
from cost_guard.verdict.words import whole_dollars

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from fractions import Fraction

    from cost_guard.verdict.rule import Judged

LATE_MONTH = 12
"""A crossing after it is told: until then the sums say that managed is cheaper."""


def find(asked: ReadingQuestion) -> Objection | None:
    """BLOCK where neither the horizon nor a part of it saves; WARN where it hangs on leaving in time, or is late."""
    judged = asked.judged
    tco = judged.tco
    loss = tco.self_hosted_usd - tco.managed_usd
    if loss <= 0:
        doubts = _doubts(judged)
        return Objection(Level.WARN, "; ".join(doubts) + ".") if doubts else None
    months = wording.count(len(tco.months), "month")
    sums = f"{whole_dollars(tco.self_hosted_usd)} self-hosted against {whole_dollars(tco.managed_usd)} managed"
    text = f"over {months} it costs {whole_dollars(loss)} too much ({sums}{_present(judged)})"
    month, usd = tco.best_end
    if usd < tco.managed_usd:
        saved = whole_dollars(tco.managed_usd - usd)
        return Objection(Level.WARN, f"{text}; it saves {saved} if one leaves after month {month}.")
    return Objection(Level.BLOCK, f"{text}.{_start(judged)}{_shorter(judged)}")


def _doubts(judged: Judged) -> list[str]:
    """What speaks against a horizon that saves on the whole."""
    tco = judged.tco
    found = []
    last = tco.crossings[-1] if tco.crossings else None
    if last is None:
        found.append("the sums never cross: until the end managed is the cheaper one")
    elif last.cheaper == "managed":
        found.append(f"from month {_month(last.month)} on managed is the cheaper one again")
    elif last.month > LATE_MONTH:
        found.append(f"only from month {_month(last.month)} on self-hosting has cost less")
    losing = list(takewhile(lambda month: month.cost_usd > month.managed_usd, reversed(tco.months)))
    if len(losing) == 1:
        found.append(f"in month {losing[0].number}, the last, it loses")
    elif losing:
        found.append(f"from month {losing[-1].number} to the last, {losing[0].number}, each month loses")
    if tco.owed_after > 0:
        found.append(f"{whole_dollars(tco.owed_after)} of commitments are still owed after the horizon")
    return found


def _start(judged: Judged) -> str:
    """When to begin, where a later start saves."""
    month, usd = judged.tco.best_start
    if not 0 < month < len(judged.tco.months) or usd >= judged.tco.managed_usd:
        return ""
    return f" Managed for {wording.count(month, 'month')} and self-hosted then, it saves {_saves(judged, usd)}."


def _shorter(judged: Judged) -> str:
    """For how long a commitment at the same price would pay."""
    tco, horizon = judged.tco, judged.horizon
    ends = list(enumerate(tco.ends_usd, 1))
    without = [(usd - tco.months[x - 1].owed_usd * horizon.worth(x), x) for x, usd in ends]
    usd, month = min(without, key=lambda one: (one[0], -one[1]))
    if (tco.owed_after == 0 and all(m.owed_usd == 0 for m in tco.months)) or usd >= tco.managed_usd:
        return ""
    return f" Committed for {wording.count(month, 'month')} at that price, it would save {_saves(judged, usd)}."


def _saves(judged: Judged, usd: Fraction) -> str:
    return whole_dollars(judged.tco.managed_usd - usd)


def _present(judged: Judged) -> str:
    rate = judged.horizon.discount_rate_per_year
    return f", present values at {wording.percent(rate)} a year" if rate else ""


def _month(month: Fraction) -> str:
    return f"{float(month):.1f}"


RULE = VerdictRule(
    code="horizon",
    position=12,
    severity=Severity.HIGH,
    demand="Over its horizon a fleet must cost no more than the managed API.",
    remedy="Begin later, commit for less time, or pay less up front: the violation says what would save.",
    key=("horizon",),
    asks=ReadingQuestion,
    find=find,
    repair_goes_through=True,
)
