"""Rule same-weights: nobody else serves the same weights for less, or somebody says why that is no option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_guard.codes import Level, Severity
from cost_guard.scenario.sections.approval import Status
from cost_guard.verdict.rule import Objection, ReadingQuestion, VerdictRule
from cost_guard.verdict.words import money, price_words

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from cost_guard.verdict.rule import Question


def find(asked: ReadingQuestion) -> Objection | None:
    """BLOCK where an API with these weights costs less than cost(V) a month; WARN where something says that it is no
    option."""
    same, reading = asked.facts.managed.same_weights, asked.judged.reading
    if same is None:
        return None
    ours = reading.cost(reading.volume)
    theirs = reading.volume * same.usd_per_million / 10**6
    if theirs >= ours:
        return None
    text = (
        f"{same.row.key} serves these weights at {price_words(same.usd_per_million)}: {money(theirs)}/month for the "
        f"same tokens, {money(ours - theirs)}/month less than self-hosting"
    )
    why = no_option(asked)
    if why:
        return Objection(Level.WARN, f"{text}; it is no option: {why}.")
    return Objection(
        Level.BLOCK, f"{text}. Take it, or say in managed.notSameWeights why it is no option{_held(asked)}."
    )


def no_option(asked: Question) -> str:
    """Why an API with the same weights is none, by constraints or by somebody's word that holds; empty where nothing
    says it."""
    scenario, given = asked.proposal.scenario, asked.proposal.scenario.managed.not_same_weights
    if scenario.constraints.residency:
        return "constraints.residency"
    if scenario.constraints.fine_tuned:
        return "constraints.fineTuned"
    if given is None or not given.holds(asked.today):
        return ""
    return f"{given.reason.strip()} ({given.approved_by}, {given.date})"


def _held(asked: Question) -> str:
    """What became of a word that does not hold."""
    given = asked.proposal.scenario.managed.not_same_weights
    if given is None:
        return ""
    if given.status(asked.today) is Status.NOT_BEGUN:
        return f"; the one given is dated {given.date}, after {asked.today}"
    return f"; the one given held until {given.until}"


RULE = VerdictRule(
    code="same-weights",
    position=14,
    severity=Severity.HIGH,
    demand="No API may serve the same weights for less, or somebody says why it is no option.",
    remedy="Use that API, or have managed.notSameWeights (reason, approvedBy, date) say why it is no option.",
    key=("managed",),
    asks=ReadingQuestion,
    find=find,
    repair_goes_through=True,
    only_for_bills=True,
)
