"""Rule price-known: every candidate and every displaced route has a price in the catalogue."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, Question, VerdictRule
from strict.problems import did_you_mean

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from cost_guard.catalogue.catalogue import Catalogue
    from cost_guard.verdict.facts.rungs import RungFacts

SUGGESTIONS = 3


def find(asked: Question) -> Objection | None:
    """BLOCK where the price of a rung, a route or its batch is missing; WARN where it is that of another region, where
    nobody knows how much of a spot machine's time is lost, and for what is made besides nodes and has no price."""
    managed = asked.facts.managed
    unknown = [_of_rung(asked, rung) for rung in asked.facts.rungs.values() if rung.usd_per_month is None]
    unknown += [_of_model(model, asked.catalogue) for model in managed.missing]
    unknown += [f"no batch price is known of {model}; take its batchShare away." for model in managed.batchless]
    if managed.costs_nothing:
        unknown.append("managed.routes cost nothing at these shares of input and cached input.")
    rungs = asked.facts.rungs.values()
    doubts = [words for rung in rungs for words in (_elsewhere(asked, rung), _loss(rung)) if words]
    doubts += [f"It is in no cost: {words}." for words in asked.facts.resources.unpriced]
    if unknown:
        return Objection(Level.BLOCK, " ".join([*unknown, *doubts]))
    return Objection(Level.WARN, " ".join(doubts)) if doubts else None


def _of_rung(asked: Question, rung: RungFacts) -> str:
    """What to do about a rung without a price."""
    catalogue = asked.catalogue
    candidates = asked.proposal.scenario.fleet.candidates
    nameless = [one for one in candidates if one.catalogue_key == rung.key and one.stands_for is None]
    if any(catalogue.cloud(one.cloud).stands_in for one in nameless):
        return f"{rung.key} has no price of its own; name in standsFor the SKU whose price and throughput count for it."
    if strange := _of_cloud(rung.key, catalogue):
        return strange
    near = catalogue.nearest(rung.key)
    hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(catalogue.prices))}."
    return f"no price is known for {rung.key}; {hint}"


def _elsewhere(asked: Question, rung: RungFacts) -> str:
    """Where the price is not that of a candidate's region."""
    if rung.price is None or not rung.price.region:
        return ""
    asks = [one for one in asked.proposal.scenario.fleet.candidates if one.catalogue_key == rung.key]
    regions = sorted({one.region for one in asks if one.stands_for is None} - {rung.price.region})
    if not regions:
        return ""
    return f"The price of {rung.key} is that of {rung.price.region}: it may be another in {', '.join(regions)}."


def _loss(rung: RungFacts) -> str:
    """Of a spot machine whose row does not say what share of its time is lost."""
    if rung.price is None or rung.price.terms != "spot" or rung.price.interruption_loss is not None:
        return ""
    return (
        f"Nobody knows what share of its time {rung.key} is interrupted, so it counts as if it never were: give "
        "interruptionLoss in its row, or more spareNodes."
    )


def _of_cloud(key: str, catalogue: Catalogue) -> str:
    """What is wrong where a key begins with the name of no cloud, and of nobody who quotes prices."""
    cloud, parts, _ = key.partition("/")
    known = {*catalogue.clouds, *(price.partition("/")[0] for price in catalogue.prices)}
    return (
        ""
        if not parts or cloud in known
        else f"there is no cloud {cloud} ({key}); {did_you_mean(cloud, sorted(known))}"
    )


def _of_model(model: str, catalogue: Catalogue) -> str:
    near = get_close_matches(model, catalogue.managed, n=SUGGESTIONS, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(catalogue.managed))}."
    return f"no price is known for the managed model {model}; {hint}"


RULE = VerdictRule(
    code="price-known",
    position=50,
    severity=Severity.CRITICAL,
    demand="Every candidate, and every managed route, needs a known price.",
    remedy="Choose a SKU of the catalogue, or add its price with source and date.",
    never_waived="without a price nothing else can be judged, and no cost cap could be held",
    asks=Question,
    find=find,
)
