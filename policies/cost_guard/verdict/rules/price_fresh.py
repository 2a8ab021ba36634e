"""Rule price-fresh: no price is older than 180 days."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import FRESH_DAYS, STALE_DAYS, Objection, Question, VerdictRule

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from cost_guard.catalogue.catalogue import ManagedRates, Price


def find(asked: Question) -> Objection | None:
    """By the age of the catalogue's prices; a price given in the scenario has no age."""
    rows: list[Price | ManagedRates] = [rung.price for rung in asked.facts.rungs.values() if rung.price is not None]
    rows += [route.row for route in asked.facts.managed.routes]
    found = [one for row in rows if (one := age_of_price(row, asked.today))]
    if not found:
        return None
    blocks = any(one.level is Level.BLOCK for one in found)
    return Objection(Level.BLOCK if blocks else Level.WARN, " ".join(one.message for one in found))


def age_of_price(row: Price | ManagedRates, today: date) -> Objection | None:
    """What is to be said of one row of the catalogue; None while it is fresh."""
    age = (today - row.date).days
    text = f"the price of {row.key} is of {row.date}, {age} days old"
    todo = f"look it up again and change its row, date and source in the pack's data/{row.FILE}."
    if age > STALE_DAYS:
        return Objection(Level.BLOCK, f"{text} (over {STALE_DAYS}); {todo}")
    if age > FRESH_DAYS:
        return Objection(Level.WARN, f"{text} (over {FRESH_DAYS}); {todo}")
    if age < 0:
        return Objection(Level.WARN, f"the price of {row.key} is dated {row.date}, after {today}.")
    return None


RULE = VerdictRule(
    code="price-fresh",
    position=60,
    severity=Severity.MEDIUM,
    demand="Prices must not be older than 180 days.",
    remedy="Run `crossover prices refresh`, or look the price up and change its row, date and source together.",
    asks=Question,
    find=find,
    repair_goes_through=True,
    only_for_bills=True,
)
