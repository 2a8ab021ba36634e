"""One rung, as if every node were this one, at the scenario's volume: what the figures are reckoned from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic import mix
from cost_guard.arithmetic.breakeven import Staircase, to_decimal
from cost_guard.arithmetic.capacity import tokens_per_node_month
from cost_guard.arithmetic.managed import ManagedPrice
from cost_guard.arithmetic.mix import NOTHING_OWED, Sunk, Terms
from cost_guard.catalogue.catalogue import Catalogue, Price, Throughput
from cost_guard.scenario.fleet import QuotationFleet, SkuFleet
from cost_guard.scenario.scenario import Baseline, Scenario


@dataclass(frozen=True)
class Rung:
    """What one node costs and serves, if every node were this one."""

    name: str
    """The catalogue key; empty where the scenario itself gives price and throughput."""
    terms: Terms | None
    tokens_per_second: Decimal | None
    price: Price | None = None
    throughput: Throughput | None = None
    unknown: str = ""
    """Why price or throughput is None, and what to do."""

    @property
    def usd_per_node_month(self) -> Decimal | None:
        """A node's month as the arithmetic has it: spot after its losses, reserved with what is paid up front."""
        return None if self.terms is None else to_decimal(self.terms.effective_usd_per_month)


@dataclass(frozen=True)
class Case:
    """One rung with price and throughput, at the scenario's volume."""

    scenario: Scenario
    stairs: Staircase
    tokens_per_second: Decimal
    volume: Fraction
    """V: the displaced tokens per month."""
    terms: Terms
    sunk: Sunk = NOTHING_OWED

    def subject(self) -> str:
        """Cost against managed, in words."""
        nodes = self.stairs.nodes_at(self.volume)
        return (
            f"{displaced_words(self.scenario)} cost {money(self.stairs.cost(self.volume))}/month self-hosted "
            f"({wording.count(nodes, 'node')}) against {money(self.stairs.managed(self.volume))}/month managed "
            f"at {wording.per_million(self.stairs.usd_per_million)}"
        )


def money(amount: Fraction) -> str:
    """A rational amount of USD in words."""
    return wording.usd(to_decimal(amount))


def volume_words(volume: Fraction, rounding: str = wording.NEAREST) -> str:
    """A rational volume in words."""
    return wording.tokens(to_decimal(volume), rounding)


def displaced_words(scenario: Scenario) -> str:
    """The volume that is judged, and what part of the whole it is."""
    work = scenario.workload
    text = f"{wording.tokens(work.displaced_tokens_per_month)} tokens/month"
    if work.displaced_share == 1:
        return text
    share = wording.percent(work.displaced_share)
    return f"{text} ({share} of {wording.tokens(work.tokens_per_month)}; the rest stays managed on both sides)"


def rungs(scenario: Scenario, catalogue: Catalogue) -> list[Rung]:
    """Every rung of the fleet once, priced as far as the catalogue knows it."""
    fleet = scenario.fleet
    if isinstance(fleet, QuotationFleet):
        return [Rung("", Terms(Fraction(fleet.usd_per_node_month)), fleet.tokens_per_second)]
    if isinstance(fleet, SkuFleet):
        return [_rung(fleet.sku, catalogue)]
    nameless = {rung.catalogue_key for rung in fleet.candidates if rung.cloud == "local" and rung.stands_for is None}
    return [_rung(key, catalogue, key in nameless) for key in dict.fromkeys(r.catalogue_key for r in fleet.candidates)]


def _rung(key: str, catalogue: Catalogue, stands_for_nothing: bool = False) -> Rung:
    price, throughput = catalogue.prices.get(key), catalogue.throughputs.get(key)
    unknown = ""
    if price is None and stands_for_nothing:
        unknown = f"{key} has no price of its own; name in standsFor the SKU whose price and throughput count for it."
    elif price is None:
        near = catalogue.nearest(key)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(catalogue.prices))}."
        unknown = f"no price is known for {key}; {hint}"
    elif throughput is None:
        unknown = f"no throughput is known for {key}; measure it and add a row to the pack's data/throughput.toml."
    terms = mix.terms_of(price) if price else None
    return Rung(key, terms, throughput.tokens_per_second if throughput else None, price, throughput, unknown)


def case_of(
    scenario: Scenario, rung: Rung, managed: ManagedPrice, baseline: Baseline | None, today: date
) -> Case | None:
    """The rung at the scenario's volume; None where a price or the throughput is unknown."""
    if rung.terms is None or rung.tokens_per_second is None or managed.usd_per_million is None:
        return None
    fleet, work, overhead = scenario.fleet, scenario.workload, scenario.overhead
    stairs = Staircase(
        nodes=fleet.node_count,
        spare=fleet.spare_nodes + mix.extra_spare_nodes(rung.price, fleet.node_count),
        usd_per_node=to_decimal(rung.terms.effective_usd_per_month),
        overhead=Fraction(overhead.stated_usd_per_month) / (1 - Fraction(overhead.understated_by)),
        usd_per_million=managed.usd_per_million,
        per=tokens_per_node_month(rung.tokens_per_second, fleet.target_utilisation, work.peak_to_mean),
    )
    owed = mix.sunk(rung.price, baseline, today)
    return Case(scenario, stairs, rung.tokens_per_second, Fraction(work.displaced_tokens_per_month), rung.terms, owed)
