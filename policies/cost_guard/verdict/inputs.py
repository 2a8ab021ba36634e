"""Every number that went into a verdict, by its key in the scenario, with its source and its date."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from cost_guard.arithmetic.costing import Rung
from cost_guard.arithmetic.managed import ManagedPrice
from cost_guard.arithmetic.mix import extra_spare_nodes
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.scenario.usage import Usage
from cost_guard.verdict.verdict import UNKNOWN, Input


def inputs(
    scenario: Scenario, rung: Rung, managed: ManagedPrice, today: date, baseline: Baseline | None, usage: Usage | None
) -> dict[str, Input]:
    """The rung's figures are those of the verdict."""
    work = scenario.workload
    found = {
        "tokensPerMonth": Input(work.tokens_per_month, f"scenario, {work.kind}"),
        "today": Input(today.isoformat(), "the day of the evaluation", today),
        **_managed(managed),
        "nodes": Input(scenario.fleet.node_count, "scenario"),
        **_node(scenario, rung),
    }
    fleet, overhead, horizon, uncertainty = scenario.fleet, scenario.overhead, scenario.horizon, scenario.uncertainty
    names = ("displaced_share", "peak_to_mean", "input_share", "cached_share", "growth_per_month")
    found |= _section(work, names)
    found |= _section(fleet, ("target_utilisation", "spare_nodes", "max_per_failure_domain"))
    found |= _section(overhead) | _section(horizon) | _section(scenario.constraints)
    found |= {f"uncertainty.{name}": given for name, given in _section(uncertainty).items()}
    if usage is not None:
        measured = f"usage, {usage.describe()}"
        for name in ("tokensPerMonth", "peakToMean", "inputShare", "cachedShare"):
            found[name] = Input(found[name].value, measured, usage.to)
        if usage.peak_at_least is not None:
            found["peakToMean"] = Input(found["peakToMean"].value, f"{measured}: assumed from days", usage.to)
        if uncertainty.volume == usage.volume_sigma:
            found["uncertainty.volume"] = Input(usage.volume_sigma, measured, usage.to)
    if baseline is not None:
        approved = f"baseline, {baseline.approved_by}"
        found["baselineNodes"] = Input(baseline.nodes, approved, baseline.date)
        found["baselineUsdPerMonth"] = Input(baseline.usd_per_month, approved, baseline.date)
    return found


def _managed(managed: ManagedPrice) -> dict[str, Input]:
    """The price; for routes also each model's, dated by its row, and the blend by the oldest of them."""
    if not managed.routes:
        price = managed.usd_per_million
        return {"usdPerMillionTokens": Input(price, UNKNOWN if price is None else "scenario")}
    oldest = min(route.row.date for route in managed.routes)
    found = {"usdPerMillionTokens": Input(managed.usd_per_million, "blended from managed.routes", oldest)}
    for route in managed.routes:
        row = route.row
        cached = row.cached_input_usd_per_million
        rates = f"${row.input_usd_per_million:f} input, ${row.output_usd_per_million:f} output per M"
        rates += f", ${cached:f} cached input" if cached is not None else ""
        source = f"{route.share:f} of the tokens at {rates}: {row.source}" + (f" ({row.note})" if row.note else "")
        found[f"routes.{row.key}"] = Input(route.usd_per_million, source, row.date)
    return found


def _node(scenario: Scenario, rung: Rung) -> dict[str, Input]:
    price, served = rung.price, rung.throughput
    given = UNKNOWN if rung.name else "scenario"
    found = {
        "usdPerNodeMonth": Input(rung.usd_per_node_month, _cited(price), price.date)
        if price
        else Input(rung.usd_per_node_month, given),
        "tokensPerSecond": Input(rung.tokens_per_second, _cited(served), served.date)
        if served
        else Input(rung.tokens_per_second, given),
    }
    if price is not None and price.terms == "spot":
        found["interruptionLoss"] = Input(price.interruption_loss, price.key, price.date)
        extra = extra_spare_nodes(price, scenario.fleet.node_count)
        found["extraSpareNodes"] = Input(extra, "nodes × interruptionLoss, rounded up")
    if price is not None and price.terms == "reserved":
        found["commitmentMonths"] = Input(price.commitment_months, price.key, price.date)
        found["upfrontUsdPerNode"] = Input(price.upfront_usd, price.key, price.date)
    return found


def _section(section: BaseModel, names: tuple[str, ...] | None = None) -> dict[str, Input]:
    fields = type(section).model_fields
    return {
        fields[name].alias or name: Input(
            getattr(section, name), "scenario" if name in section.model_fields_set else "default"
        )
        for name in names or fields
    }


def _cited(row: object) -> str:
    kind, key, source, note = (getattr(row, name) for name in ("kind", "key", "source", "note"))
    return f"{key}, {kind}: {source}" + (f" ({note})" if note else "")
