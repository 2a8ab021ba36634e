"""What each rung costs and serves: its rows of the catalogue, and the node that the arithmetic reckons with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from cost_guard.arithmetic.node import NodeKind, blended_tokens_per_second, tokens_per_month
from cost_guard.arithmetic.readings import LadderRung
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.catalogue.machines import GpuMachine
from cost_guard.catalogue.prices import Price
from cost_guard.catalogue.throughput import Throughput
from cost_guard.scenario.fleet import LadderCandidate, QuotationFleet
from cost_guard.scenario.scenario import Scenario, ScenarioError
from cost_guard.units import HOURS_PER_MONTH


@dataclass(frozen=True)
class RungFacts:
    """One `cloud/sku` of the fleet; of a quotation, what the scenario says."""

    key: str
    """The catalogue key; empty where the scenario itself gives price and throughput."""
    price: Price | None
    throughput: Throughput | None
    machine: GpuMachine | None
    node: NodeKind | None
    """None where its price or its throughput is not known."""
    usd_per_month: Fraction | None
    """c: of its price alone, with what is paid up front spread over the commitment."""


@dataclass(frozen=True)
class LadderChoice:
    """One rung of one node's ladder, and the candidate that asks for it, if one does."""

    rung: RungFacts
    candidate: LadderCandidate | None = None

    @property
    def ceiling_usd_per_month(self) -> Fraction | None:
        """maxUsdPerHour as a month; None where there is none."""
        hourly = None if self.candidate is None else self.candidate.max_usd_per_hour
        return None if hourly is None else Fraction(hourly) * HOURS_PER_MONTH


def rung_facts(scenario: Scenario, catalogue: Catalogue) -> dict[str, RungFacts]:
    """Every rung of the fleet once, by its key, in the order of the nodes. Raises ScenarioError for a shape of which no
    token would cost any time."""
    fleet = scenario.fleet
    if isinstance(fleet, QuotationFleet):
        node = _node(scenario, "", Fraction(fleet.usd_per_node_month), Fraction(fleet.tokens_per_second))
        return {"": RungFacts("", None, None, None, node, node.usd_per_month)}
    keys = dict.fromkeys(key for keys in fleet.catalogue_keys for key in keys)
    return {key: _of_catalogue(scenario, catalogue, key) for key in keys}


def ladders(scenario: Scenario, rungs: Mapping[str, RungFacts]) -> tuple[tuple[LadderChoice, ...], ...]:
    """The choices of each node, in their order."""
    fleet = scenario.fleet
    if fleet.ladders:
        return tuple(
            tuple(LadderChoice(rungs[one.catalogue_key], one) for one in ladder) for ladder in fleet.ladders.values()
        )
    (only,) = rungs.values()
    return ((LadderChoice(only),),) * fleet.node_count


def ladder_rung(choice: LadderChoice, catalogue: Catalogue) -> LadderRung | None:
    """For the readings: with what it may cost at most, where the cloud is a market. None where the node is unknown."""
    node, ceiling = choice.rung.node, choice.ceiling_usd_per_month
    if node is None:
        return None
    market = choice.candidate is not None and catalogue.cloud(choice.candidate.cloud).market
    if not market or ceiling is None or ceiling <= node.usd_per_month:
        return LadderRung(node, node)
    return LadderRung(node, replace(node, usd_per_month=ceiling))


def at_ceiling(choice: LadderChoice) -> NodeKind | None:
    """The node as if its ceiling were its price. None where the node is unknown."""
    node, ceiling = choice.rung.node, choice.ceiling_usd_per_month
    return node if node is None or ceiling is None else replace(node, usd_per_month=ceiling)


def _of_catalogue(scenario: Scenario, catalogue: Catalogue, key: str) -> RungFacts:
    price, model = catalogue.prices.get(key), scenario.workload.model
    served = None if model is None else catalogue.throughput(model, key)
    machine = None if price is None else catalogue.machines.get(price.machine)
    if price is None:
        return RungFacts(key, None, served, machine, None, None)
    pay, months = Fraction(price.usd_per_month), price.commitment_months or 1
    usd = pay + Fraction(price.upfront_usd) / months
    if served is None:
        return RungFacts(key, price, None, machine, None, usd)
    node = replace(
        _node(scenario, key, pay, served_tokens_per_second(scenario, served)),
        upfront_usd=Fraction(price.upfront_usd),
        commitment_months=months,
        loss=Fraction(price.known_loss),
        factor=served.key,
        price=key,
    )
    return RungFacts(key, price, served, machine, node, usd)


def served_tokens_per_second(scenario: Scenario, served: Throughput) -> Fraction:
    """C. Raises ScenarioError."""
    work = scenario.workload
    parts: tuple[Decimal, ...] = (
        served.prefill_tokens_per_second, served.decode_tokens_per_second, work.input_share, work.prefix_hits,
    )  # fmt: skip
    try:
        return blended_tokens_per_second(*map(Fraction, parts))
    except ValueError as error:
        raise ScenarioError(f"workload.prefixHitShare: {error}") from None


def _node(scenario: Scenario, key: str, pay: Fraction, rate: Fraction) -> NodeKind:
    fleet, work = scenario.fleet, scenario.workload
    month = tokens_per_month(rate, Fraction(fleet.target_utilisation), Fraction(work.peak_to_mean))
    return NodeKind(name=key, usd_per_month=pay, tokens_per_second=rate, tokens_per_month=month)
