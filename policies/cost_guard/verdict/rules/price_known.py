"""Rule price-known: every candidate has a price and a throughput in the catalogue."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, RungQuestion, VerdictRule
from strict.problems import did_you_mean

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from cost_guard.catalogue.catalogue import Catalogue

SUGGESTIONS = 3


def find(asked: RungQuestion) -> Objection | None:
    """BLOCK where a price or a throughput is missing."""
    managed = asked.managed
    unknown = [_of_rung(asked), *(_of_model(model, asked.catalogue) for model in managed.missing)]
    if managed.costs_nothing:
        unknown.append("managed.routes cost nothing at these shares of input and cached input.")
    told = " ".join(filter(None, unknown))
    return Objection(Level.BLOCK, told) if told else None


def _of_rung(asked: RungQuestion) -> str:
    """Why the rung's price or throughput is not known, and what to do."""
    rung, catalogue = asked.rung, asked.catalogue
    if rung.terms is not None:
        if rung.tokens_per_second is not None:
            return ""
        return f"no throughput is known for {rung.name}; measure it and add a row to the pack's data/throughput.toml."
    candidates = asked.proposal.scenario.fleet.candidates
    nameless = [one for one in candidates if one.catalogue_key == rung.name and one.stands_for is None]
    if any(catalogue.cloud(one.cloud).stands_in for one in nameless):
        return (
            f"{rung.name} has no price of its own; name in standsFor the SKU whose price and throughput count for it."
        )
    if strange := _of_cloud(rung.name, catalogue):
        return strange
    near = catalogue.nearest(rung.name)
    hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(catalogue.prices))}."
    return f"no price is known for {rung.name}; {hint}"


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
    demand="Every candidate needs a known price and throughput.",
    remedy="Choose a SKU of the catalogue, or add its price and its throughput, each with source and date.",
    never_waived="without a price nothing else can be judged, and no cost cap could be held",
    asks=RungQuestion,
    find=find,
    of_one_rung=False,
)
