"""Whether a pull request buys more than the base has, at the base's catalogue, or something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.verdict.facts.facts import (
    Facts,
    facts_of,
    longest_commitment_months,
    overhead_usd_per_month,
    usd_per_node_month,
)


@dataclass(frozen=True)
class _Bill:
    """What one model's nodes commit somebody to."""

    nodes: int
    usd_per_month: tuple[Fraction | None, Fraction | None]
    """The nodes at their first rungs, and at their dearest with what is besides; None where a price is not known."""
    besides_usd_per_month: Fraction
    """Disks, the gateway's machine and what else is listed, with overhead."""
    upfront_usd: Fraction
    ceilings: tuple[int, Fraction]
    """How many rungs have none, and the sum of each node's highest, USD a month."""
    commitment_months: int
    managed_budget: tuple[bool, Decimal]
    """Whether the gateway's fallback bills without a limit, and the limit, USD a month."""


def bought(head: Mapping[str, Proposal], base: Mapping[str, Proposal], catalogue: Catalogue) -> tuple[str, ...]:
    """In words, what is more of each model than in the base, both with the same scales. A model that the base lacks is
    all more. Raises ScenarioError."""
    found: list[str] = []
    for name, proposal in head.items():
        if name not in base:
            found.append(f"the model {name} is new")
        else:
            found += _more(_bill(proposal, catalogue), _bill(base[name], catalogue))
            found += _otherwise(proposal, base[name])
    return tuple(dict.fromkeys(found))


def _otherwise(now: Proposal, before: Proposal) -> Iterator[str]:
    """Another model is no more of anything, and is bought all the same. Of a plan it is not known how it is served."""
    if now.scenario.workload.model != before.scenario.workload.model:
        yield "another model"
    elif now.served is not None and before.served is not None and now.served != before.served:
        yield "another way to serve the model"


def _bill(proposal: Proposal, catalogue: Catalogue) -> _Bill:
    facts, gateway = facts_of(proposal, catalogue), proposal.gateway
    besides = overhead_usd_per_month(proposal, facts.resources) + usd_per_node_month(proposal) * facts.nodes
    limit = gateway.managed_budget_usd_per_month
    return _Bill(
        nodes=facts.nodes,
        usd_per_month=(facts.first_usd_per_month, facts.fixed_usd_per_month),
        besides_usd_per_month=besides,
        upfront_usd=Fraction(proposal.scenario.horizon.upfront_usd) + sum(_upfront(facts), Fraction(0)),
        ceilings=_ceilings(facts),
        commitment_months=longest_commitment_months(facts.rungs),
        managed_budget=(gateway.paid_fallback and limit is None, limit or Decimal(0)),
    )


def _upfront(facts: Facts) -> Iterator[Fraction]:
    for ladder in facts.ladders:
        yield max((Fraction(one.rung.price.upfront_usd) for one in ladder if one.rung.price), default=Fraction(0))


def _ceilings(facts: Facts) -> tuple[int, Fraction]:
    known = [[one.ceiling_usd_per_month for one in ladder] for ladder in facts.ladders]
    without = sum(ceiling is None for ladder in known for ceiling in ladder)
    highest = [max((one for one in ladder if one is not None), default=Fraction(0)) for ladder in known]
    return without, sum(highest, Fraction(0))


def _more(now: _Bill, before: _Bill) -> Iterator[str]:
    if now.nodes > before.nodes:
        yield f"{wording.count(now.nodes, 'node')} instead of {before.nodes}"
    besides = (Fraction(0), now.besides_usd_per_month - before.besides_usd_per_month)
    for after, earlier, more in zip(now.usd_per_month, before.usd_per_month, besides, strict=True):
        if after is None and now != before:
            yield "a node whose price the base does not know"
        elif after is not None and (earlier is None or after > earlier):
            if earlier is None or after - more > earlier:
                yield "nodes that cost more a month"
            if more > 0 and now.nodes <= before.nodes:
                yield "what is made besides nodes, which costs more a month"
    if now.upfront_usd > before.upfront_usd:
        yield "more paid up front"
    if now.nodes <= before.nodes and now.ceilings > before.ceilings:  # of more nodes it says nothing further
        yield "a higher ceiling"
    if now.commitment_months > before.commitment_months:
        yield f"a commitment of {now.commitment_months} months"
    if now.managed_budget > before.managed_budget:
        yield "more that the gateway may spend at managed APIs"
