"""All facts of a proposal: prices, nodes, readings, and the horizon of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from cost_guard.arithmetic.months.commitments import running
from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.readings import LadderRung, Site, readings
from cost_guard.arithmetic.tco import HorizonTerms
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import HORIZON_MONTHS, Baseline, ScenarioError, growth_problem
from cost_guard.verdict.facts.beside import ResourceFacts, resource_facts
from cost_guard.verdict.facts.managed import ManagedFacts, managed_facts
from cost_guard.verdict.facts.rungs import LadderChoice, RungFacts, at_ceiling, ladder_rung, ladders, rung_facts


@dataclass(frozen=True)
class Facts:
    """Of one model's proposal. `readings` is empty where a node or the managed price is not known."""

    rungs: Mapping[str, RungFacts]
    """By catalogue key."""
    ladders: tuple[tuple[LadderChoice, ...], ...]
    """The choices of each node."""
    managed: ManagedFacts
    readings: tuple[Reading, ...]
    at_ceilings: tuple[Reading, ...]
    """With every ceiling counted as the price, on all clouds, each node at its dearest; empty where no node has one."""
    first_usd_per_month: Fraction | None
    """Σc of the first rungs; None where one's price is not known."""
    fixed_usd_per_month: Fraction | None
    """Nodes and overhead, each node at the rung of the greatest price: what a baseline must hold. It needs no
    throughput; None where no rung of a node has a price."""
    billed_usd_per_month: Fraction | None
    """The same with ceilings, where the cloud is a market: what may be billed."""
    months: int
    """T."""
    resources: ResourceFacts
    """What is made besides nodes: at least that much of O is for storage and network."""

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.ladders)


def facts_of(proposal: Proposal, catalogue: Catalogue) -> Facts:
    """Raises ScenarioError for what cannot be reckoned with."""
    scenario = proposal.scenario
    rungs = rung_facts(scenario, catalogue)
    choices = ladders(scenario, rungs)
    managed, resources = managed_facts(scenario, catalogue), resource_facts(proposal, catalogue)
    besides = overhead_usd_per_month(proposal, resources)
    months = _months(proposal, rungs)
    known = tuple(tuple(filter(None, (ladder_rung(one, catalogue) for one in ladder))) for ladder in choices)
    ceilings = tuple(tuple(filter(None, map(at_ceiling, ladder))) for ladder in choices)
    site = _site(proposal, managed, besides) if all(known) and managed.displaced is not None else None
    return Facts(
        rungs=rungs,
        ladders=choices,
        managed=managed,
        readings=() if site is None else readings(known, site),
        at_ceilings=() if site is None or not _has_ceiling(choices) else _dearest(ceilings, site),
        first_usd_per_month=total([ladder[0].rung.usd_per_month for ladder in choices]),
        fixed_usd_per_month=_fixed(proposal, choices, catalogue, besides),
        billed_usd_per_month=_fixed(proposal, choices, catalogue, besides, ceilings=True),
        months=months,
        resources=resources,
    )


def horizon_of(proposal: Proposal, facts: Facts, reading: Reading, today: date) -> HorizonTerms:
    """What changes over the months for one reading: a baseline's commitments are those of its nodes."""
    given, baseline = proposal.scenario.horizon, proposal.baseline
    return HorizonTerms(
        months=facts.months,
        upfront_usd=Fraction(given.upfront_usd) * proposal.overhead_share,
        residual_usd=Fraction(given.residual_usd) * proposal.overhead_share,
        api_price_decline_per_year=given.api_price_decline_per_year,
        discount_rate_per_year=given.discount_rate_per_year,
        growth_per_month=proposal.scenario.workload.growth_per_month,
        running=() if baseline is None else running(reading.nodes, baseline.nodes, _elapsed(baseline, today)),
    )


def overhead_usd_per_month(proposal: Proposal, resources: ResourceFacts) -> Fraction:
    """O, after understatedBy; of several models, the part of this one. Storage and network are what the scenario says,
    or what is listed where that is more: both speak of the same bill, so their sum would count it twice."""
    overhead = proposal.scenario.overhead
    true = 1 - Fraction(overhead.understated_by)
    people = Fraction(overhead.engineer_usd_per_month + overhead.monitoring_usd_per_month) / true
    storage_network = max(Fraction(overhead.storage_network_usd_per_month) / true, resources.usd_per_month)
    return (people + storage_network) * proposal.overhead_share


def usd_per_node_month(proposal: Proposal) -> Fraction:
    """w, after understatedBy."""
    overhead = proposal.scenario.overhead
    return Fraction(overhead.usd_per_node_month) / (1 - Fraction(overhead.understated_by))


def _site(proposal: Proposal, managed: ManagedFacts, besides: Fraction) -> Site:
    assert managed.displaced is not None
    return Site(
        spare_nodes=proposal.scenario.fleet.spare_nodes,
        overhead_usd_per_month=besides,
        usd_per_node_month=usd_per_node_month(proposal),
        usd_per_million=managed.displaced.usd_per_million,
        volume=managed.displaced.volume,
        peak_to_mean=Fraction(proposal.scenario.workload.peak_to_mean),
    )


def _dearest(ladders: Sequence[Sequence[NodeKind]], site: Site) -> tuple[Reading, ...]:
    """Each node at what costs most."""
    most = [max(ladder, key=lambda node: node.cost_usd_per_month) for ladder in ladders]
    return readings([[LadderRung(node, node)] for node in most], site)


def longest_commitment_months(rungs: Mapping[str, RungFacts]) -> int:
    """1 where nothing is committed for longer than the month that is paid."""
    return max((rung.price.commitment_months or 1 for rung in rungs.values() if rung.price), default=1)


def _months(proposal: Proposal, rungs: Mapping[str, RungFacts]) -> int:
    """T: as given, else HORIZON_MONTHS or the longest commitment. Raises ScenarioError where growth explodes in it."""
    given = proposal.scenario.horizon.months
    months = max(HORIZON_MONTHS, longest_commitment_months(rungs)) if given is None else given
    if told := growth_problem(proposal.scenario.workload.growth_per_month, months):
        raise ScenarioError(told)
    return months


def _has_ceiling(choices: tuple[tuple[LadderChoice, ...], ...]) -> bool:
    return any(one.ceiling_usd_per_month is not None for ladder in choices for one in ladder)


def _fixed(
    proposal: Proposal,
    choices: tuple[tuple[LadderChoice, ...], ...],
    catalogue: Catalogue,
    besides: Fraction,
    *,
    ceilings: bool = False,
) -> Fraction | None:
    """Σ of each node's greatest price, and overhead, of which `besides` is O."""
    nodes = total([_greatest([_usd(one, catalogue, ceilings) for one in ladder]) for ladder in choices])
    if nodes is None:
        return None
    return nodes + usd_per_node_month(proposal) * len(choices) + besides


def _greatest(prices: Sequence[Fraction | None]) -> Fraction | None:
    return max((price for price in prices if price is not None), default=None)


def _usd(choice: LadderChoice, catalogue: Catalogue, ceilings: bool) -> Fraction | None:
    usd, ceiling = choice.rung.usd_per_month, choice.ceiling_usd_per_month
    if usd is None or not ceilings or ceiling is None or choice.candidate is None:
        return usd
    return max(usd, ceiling) if catalogue.cloud(choice.candidate.cloud).market else usd


def total(amounts: Sequence[Fraction | None]) -> Fraction | None:
    """Their sum; None where one is not known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Fraction(0)) if len(known) == len(amounts) else None


def _elapsed(baseline: Baseline, today: date) -> int:
    """Whole months since the approval."""
    begun = baseline.date
    return (today.year - begun.year) * 12 + today.month - begun.month - (today.day < begun.day)
