"""One rung, as if every node were this one, at the scenario's volume: what the figures are reckoned from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from cost_guard.arithmetic import mix
from cost_guard.arithmetic.breakeven import Staircase, to_decimal
from cost_guard.arithmetic.capacity import peak_tokens_per_second, tokens_per_node_month
from cost_guard.arithmetic.managed import ManagedPrice
from cost_guard.arithmetic.mix import NOTHING_OWED, Sunk, Terms
from cost_guard.catalogue.catalogue import Catalogue, Price, Throughput
from cost_guard.scenario.fleet import QuotationFleet
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

    @property
    def survives_one_loss(self) -> bool:
        """V·ρ/H ≤ (nodes − 1)·C."""
        peak = peak_tokens_per_second(self.volume, self.scenario.workload.peak_to_mean)
        return peak <= (self.stairs.nodes - 1) * Fraction(self.tokens_per_second)


def rungs(scenario: Scenario, catalogue: Catalogue) -> list[Rung]:
    """Every rung of the fleet once, priced as far as the catalogue knows it."""
    fleet = scenario.fleet
    if isinstance(fleet, QuotationFleet):
        return [Rung("", Terms(Fraction(fleet.usd_per_node_month)), fleet.tokens_per_second)]
    return [_rung(key, catalogue) for key in dict.fromkeys(key for keys in fleet.catalogue_keys for key in keys)]


def _rung(key: str, catalogue: Catalogue) -> Rung:
    price, throughput = catalogue.prices.get(key), catalogue.throughputs.get(key)
    terms = mix.terms_of(price) if price else None
    return Rung(key, terms, throughput.tokens_per_second if throughput else None, price, throughput)


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
    return Case(
        scenario, stairs, rung.tokens_per_second, Fraction(scenario.displaced_tokens_per_month), rung.terms, owed
    )
