"""The six ways to serve the volume: which are allowed, and which is the cheapest over the horizon."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from cost_guard import wording
from cost_guard.arithmetic.options import OptionFigures, best_part, options
from cost_guard.codes import Level
from cost_guard.scenario.scenario import Scenario
from cost_guard.verdict.figures import Option, decimal_or_none
from cost_guard.verdict.rule import Judged, Question
from cost_guard.verdict.rules.same_weights import no_option
from cost_guard.verdict.verdict import Reason
from cost_guard.verdict.words import volume_words

CLOSING = ("capacity", "redundancy", "budget", "price-known", "throughput-known", "model-fits")
"""Codes whose BLOCK leaves no way to self-host: the others say that it does not pay."""
LITTLE_SPEND_USD, MUCH_SPEND_USD, LARGE_VOLUME = Decimal(20_000), Decimal(80_000), Decimal("5e9")
"""The articles' thresholds: managed USD a month, and tokens a month. No input to anything."""


def options_of(asked: Question, judged: Judged, reasons: Collection[Reason]) -> tuple[Option, ...]:
    """All six, of the reading that is shown. `reasons` are those that stand after baseline and waivers."""
    managed = asked.facts.managed
    assert managed.displaced is not None
    same = None if managed.same_weights is None else managed.same_weights.usd_per_million
    found = options(judged.reading, judged.horizon, judged.tco, managed.displaced, same)
    return tuple(_option(one, asked, judged, reasons) for one in found)


def recommend(found: Collection[Option]) -> str | None:
    """The id of the cheapest that is allowed, the earlier of equals; None where none is."""
    allowed = [(option.horizon_usd, option.id) for option in found if option.allowed and option.horizon_usd is not None]
    return min(allowed, key=lambda one: one[0])[1] if allowed else None


def sources_say(scenario: Scenario, managed_usd_per_month: Decimal | None) -> str:
    """What the articles' rules of thumb would say: by the managed bill, and by the volume."""
    low, high = wording.usd(LITTLE_SPEND_USD), wording.usd(MUCH_SPEND_USD)
    volume = scenario.displaced_tokens_per_month
    size = "above" if volume >= LARGE_VOLUME else "below"
    by_volume = f"{wording.tokens(volume)} tokens/month are {size} their {wording.tokens(LARGE_VOLUME)}"
    if managed_usd_per_month is None:
        return f"The sources' rules of thumb: {by_volume}; the managed bill is not known."
    if managed_usd_per_month < LITTLE_SPEND_USD:
        by_bill = f"below {low}/month managed: stay with the API"
    elif managed_usd_per_month <= MUCH_SPEND_USD:
        by_bill = f"{low} to {high}/month managed: cheaper models for easy requests come first"
    else:
        by_bill = f"above {high}/month managed: a hybrid may pay"
    return f"The sources' rules of thumb: {by_bill}; {by_volume}."


def _option(found: OptionFigures, asked: Question, judged: Judged, reasons: Collection[Reason]) -> Option:
    closed = _closed(found, asked, judged, reasons)
    return Option(
        id=found.id,
        usd_per_month=decimal_or_none(found.usd_per_month),
        horizon_usd=decimal_or_none(found.horizon_usd),
        allowed=not closed,
        why=closed or _detail(found.id, asked, judged),
    )


def _closed(found: OptionFigures, asked: Question, judged: Judged, reasons: Collection[Reason]) -> str:
    """Why it is not allowed; empty where it is."""
    constraints = asked.proposal.scenario.constraints
    held = [key for key, on in (("residency", constraints.residency), ("fineTuned", constraints.fine_tuned)) if on]
    if found.id in ("managed", "same-weights"):
        if found.horizon_usd is None:
            return "nobody is known to serve these weights"
        if found.id == "same-weights":
            return no_option(asked)
        return f"constraints.{held[0]}" if held else ""
    if not constraints.ml_team:
        return "constraints.mlTeam is false: nobody would run it"
    if held and _stays_managed(found.id, asked, judged):
        return f"constraints.{held[0]}: a part of it would be managed"
    blocks = [reason.code for reason in reasons if reason.level is Level.BLOCK and reason.code in CLOSING]
    return f"blocked for {', '.join(dict.fromkeys(blocks))}" if blocks else ""


def _stays_managed(name: str, asked: Question, judged: Judged) -> bool:
    """Whether some tokens of an option are served by the managed API, in some month."""
    tco, displaced = judged.tco, asked.facts.managed.displaced
    if name == "self-hosted-from":
        return tco.best_start[0] > 0
    if name == "self-hosted-until":
        return tco.best_end[0] < len(tco.months)
    assert displaced is not None
    return name == "self-hosted-part" and best_part(judged.reading, displaced).volume < judged.reading.volume


def _detail(name: str, asked: Question, judged: Judged) -> str:
    """What an allowed option comes down to."""
    same, tco = asked.facts.managed.same_weights, judged.tco
    if name == "same-weights" and same is not None:
        return f"{same.row.key}, by {same.row.provider or 'its provider'}"
    if name == "self-hosted-from":
        month = tco.best_start[0]
        if month == len(tco.months):
            return "no start within the horizon saves"
        return "at once" if month == 0 else f"managed for {wording.count(month, 'month')}, then self-hosted"
    if name == "self-hosted-until":
        month = tco.best_end[0]
        to_the_end = month == len(tco.months)
        return "to the end" if to_the_end else f"self-hosted for {wording.count(month, 'month')}, then managed"
    if name == "self-hosted-part":
        assert asked.facts.managed.displaced is not None
        part = best_part(judged.reading, asked.facts.managed.displaced).volume
        if part == judged.reading.volume:
            return "all of it is best"
        return (
            "no part of it saves" if part == 0 else f"{volume_words(part)} tokens/month self-hosted, the rest managed"
        )
    return ""
