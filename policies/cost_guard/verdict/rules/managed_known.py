"""Rule managed-known: a managed price that is given says where it comes from, and is in the range of a known one."""

from __future__ import annotations

from fractions import Fraction

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import FRESH_DAYS, STALE_DAYS, Objection, Question, VerdictRule
from cost_guard.verdict.words import price_words
from strict.problems import did_you_mean

FAR = Fraction(3, 2)
"""Times the catalogue's price of the same model: above it, it warns."""
REMEDY = "look at the last invoice, and change usdPerMillionTokens, source and date together"


def find(asked: Question) -> Objection | None:
    """Of managed.usdPerMillionTokens; a route's price is the catalogue's, which has its own rule."""
    given = asked.proposal.scenario.managed
    if given.usd_per_million_tokens is None:
        return None
    missing = [key for key, value in (("source", given.source), ("date", given.date)) if value is None]
    doubts = _doubts(asked)
    if missing:
        names = " and ".join(f"managed.{key}" for key in missing)
        doubts.insert(0, f"a price of a million tokens needs {names}: an invoice or a contract, and its day")
        return Objection(Level.BLOCK, "; ".join(doubts) + ".")
    assert given.date is not None
    age = (asked.today - given.date).days
    if age > FRESH_DAYS:
        limit = STALE_DAYS if age > STALE_DAYS else FRESH_DAYS
        doubts.insert(0, f"the managed price is of {given.date}, {age} days old (over {limit}): {REMEDY}")
    elif age < 0:
        doubts.insert(0, f"the managed price is dated {given.date}, after {asked.today}")
    if not doubts:
        return None
    return Objection(Level.BLOCK if age > STALE_DAYS else Level.WARN, "; ".join(doubts) + ".")


def _doubts(asked: Question) -> list[str]:
    """What of the price itself should be looked at."""
    given, facts = asked.proposal.scenario.managed, asked.facts.managed
    known = facts.model_usd_per_million
    if given.model is None:
        return ["managed.model does not say whose price it is, so nothing can be set against it"]
    if known is None:
        hint = did_you_mean(given.model, asked.catalogue.managed)
        return [f"the catalogue has no price of {given.model}, which managed.model names; {hint}"]
    price = Fraction(given.usd_per_million_tokens or 0)
    if price <= FAR * known:
        return []
    times = f"{float(price / known):.1f}"
    return [f"{price_words(price)} is {times} times what the catalogue has for {given.model}, {price_words(known)}"]


RULE = VerdictRule(
    code="managed-known",
    position=54,
    severity=Severity.HIGH,
    demand="A managed price must say where it comes from, and not be old.",
    remedy="Give managed.source and managed.date with the price, and in managed.model whose price it is.",
    key=("managed",),
    asks=Question,
    find=find,
    repair_goes_through=True,
    only_for_bills=True,
)
