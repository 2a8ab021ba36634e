"""The draws of a proposal: which sigmas hold, and how likely each reading pays under them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from cost_guard.arithmetic.draws import Chances, simulate
from cost_guard.arithmetic.reading import Reading
from cost_guard.arithmetic.tco import HorizonTerms
from cost_guard.arithmetic.uncertainty.sigmas import Sigmas, volume_sigma
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import QUOTED_THROUGHPUT_SIGMA
from cost_guard.verdict.facts.facts import Facts


def chances_of(readings: Sequence[Reading], horizons: Sequence[HorizonTerms], sigmas: Sigmas) -> tuple[Chances, ...]:
    """Of each reading with its horizon; all see the same draws."""
    found = {horizon: simulate(readings, horizon, sigmas) for horizon in dict.fromkeys(horizons)}
    return tuple(found[horizon][at] for at, horizon in enumerate(horizons))


def sigmas_of(proposal: Proposal, facts: Facts) -> Sigmas:
    """As the scenario gives them; else of each throughput and each node's price that of its row."""
    given = proposal.scenario.uncertainty
    served = {rung.node.factor: rung.throughput for rung in facts.rungs.values() if rung.node is not None}
    own = {name: QUOTED_THROUGHPUT_SIGMA if row is None else row.sigma for name, row in served.items()}
    priced = {rung.node.price: rung.price for rung in facts.rungs.values() if rung.node is not None}
    prices = {name: Decimal(0) if row is None else row.sigma for name, row in priced.items()}
    return Sigmas(
        draws=given.draws,
        seed=given.seed,
        volume=_volume_sigma(proposal),
        api_price=given.api_price,
        overhead=given.overhead,
        throughput=own if given.throughput is None else dict.fromkeys(own, given.throughput),
        node_price=prices if given.node_price is None else dict.fromkeys(prices, given.node_price),
    )


def _volume_sigma(proposal: Proposal) -> Decimal:
    """A measured month tells little of those to come: the outlook is added, as variances are."""
    given = proposal.scenario.uncertainty
    if proposal.usage is None or proposal.usage.kind != "measured":
        return given.volume
    return volume_sigma(given.volume, given.outlook)
