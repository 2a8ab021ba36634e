"""Every number that went into a verdict, by its key in the scenario, with its source and its date."""

from __future__ import annotations

from pydantic import BaseModel

from cost_guard.scenario.fleet import QuotationFleet
from cost_guard.verdict.facts.beside import told
from cost_guard.verdict.facts.facts import Facts
from cost_guard.verdict.facts.managed import ManagedFacts, RouteFacts
from cost_guard.verdict.facts.rungs import RungFacts
from cost_guard.verdict.figures import decimal_or_none
from cost_guard.verdict.rule import Question
from cost_guard.verdict.verdict import UNKNOWN, Input


def inputs(asked: Question) -> dict[str, Input]:
    """All of them."""
    scenario, usage, baseline = asked.proposal.scenario, asked.proposal.usage, asked.proposal.baseline
    work, fleet, uncertainty = scenario.workload, scenario.fleet, scenario.uncertainty
    found = {
        "tokensPerMonth": Input(work.tokens_per_month, f"scenario, {asked.proposal.volume_kind}"),
        "today": Input(asked.today.isoformat(), "the day of the evaluation", asked.today),
        **_managed(asked, asked.facts.managed),
        "nodes": Input(fleet.node_count, "scenario"),
        **_nodes(asked, asked.facts),
    }
    if work.model is not None:
        found["model"] = Input(work.model, "scenario")
    found |= _section(work, ("peak_to_mean", "input_share", "cached_share", "growth_per_month"))
    found["prefixHitShare"] = Input(
        work.prefix_hits, "assumed: cachedShare" if work.assumes_prefix_hits else "scenario"
    )
    if "prefix_hit_share" not in work.model_fields_set and not work.assumes_prefix_hits:
        found["prefixHitShare"] = Input(work.prefix_hits, "default")
    found |= _section(fleet, ("target_utilisation", "spare_nodes", "max_per_failure_domain"))
    overhead = _section(scenario.overhead)
    overhead["overhead.usdPerNodeMonth"] = overhead.pop("usdPerNodeMonth")  # the other one is a node's own
    if asked.facts.resources.listed:
        cost = decimal_or_none(asked.facts.resources.usd_per_month)
        found["resourcesUsdPerMonth"] = Input(cost, f"list prices: {'; '.join(told(asked.facts.resources.listed))}")
    found |= overhead | _section(scenario.horizon) | _section(scenario.constraints)
    if scenario.horizon.months is None:
        found["months"] = Input(asked.facts.months, "default")
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
    budget = asked.proposal.gateway.managed_budget_usd_per_month
    if budget is not None:
        found["managedBudgetUsdPerMonth"] = Input(budget, "gateway")
    return found


def _managed(asked: Question, managed: ManagedFacts) -> dict[str, Input]:
    """The price; for routes also each model's, dated by its row, and the blend by the oldest of them."""
    given, price = asked.proposal.scenario.managed, decimal_or_none(managed.usd_per_million)
    if given.routes is None:
        source = given.source or "scenario, without a source"
        return {"usdPerMillionTokens": Input(price, f"scenario: {source}" if given.source else source, given.date)}
    if not managed.routes:
        return {"usdPerMillionTokens": Input(price, UNKNOWN)}
    oldest = min(route.row.date for route in managed.routes)
    found = {"usdPerMillionTokens": Input(price, "blended from managed.routes", oldest)}
    for route in managed.routes:
        found[f"routes.{route.row.key}"] = Input(
            decimal_or_none(route.usd_per_million), _route_words(route), route.row.date
        )
    return found


def _route_words(facts: RouteFacts) -> str:
    row, route = facts.row, facts.route
    cached = row.cached_input_usd_per_million
    rates = f"${row.input_usd_per_million:f} input, ${row.output_usd_per_million:f} output per M"
    rates += f", ${cached:f} cached input" if cached is not None else ""
    rates += f", less {route.discount:f} of it" if route.discount else ""
    rates += (
        f", {route.batch_share:f} of it in batches at {row.batch_discount or 0:f} less" if route.batch_share else ""
    )
    return f"{route.share:f} of the tokens at {rates}: {row.source}" + (f" ({row.note})" if row.note else "")


def _nodes(asked: Question, facts: Facts) -> dict[str, Input]:
    """Of a quotation what it says; else of each rung its price and its throughput, by catalogue key."""
    fleet = asked.proposal.scenario.fleet
    if isinstance(fleet, QuotationFleet):
        return {
            "usdPerNodeMonth": Input(fleet.usd_per_node_month, "scenario"),
            "tokensPerSecond": Input(fleet.tokens_per_second, "scenario"),
        }
    found: dict[str, Input] = {}
    for rung in facts.rungs.values():
        found |= _of_rung(rung)
    return found


def _of_rung(rung: RungFacts) -> dict[str, Input]:
    price, served = rung.price, rung.throughput
    found = {
        f"usdPerNodeMonth.{rung.key}": Input(None, UNKNOWN)
        if price is None
        else Input(decimal_or_none(rung.usd_per_month), _cited(price), price.date)
    }
    rate = None if rung.node is None else decimal_or_none(rung.node.tokens_per_second)
    found[f"tokensPerSecond.{rung.key}"] = (
        Input(rate, UNKNOWN) if served is None else Input(rate, _cited(served), served.date)
    )
    if price is not None and price.terms == "spot":
        known = price.interruption_loss is not None
        source = price.key if known else f"{price.key}: not known, so none"
        found[f"interruptionLoss.{rung.key}"] = Input(price.known_loss, source, price.date)
    if price is not None and price.terms == "reserved":
        found[f"commitmentMonths.{rung.key}"] = Input(price.commitment_months, price.key, price.date)
        found[f"upfrontUsdPerNode.{rung.key}"] = Input(price.upfront_usd, price.key, price.date)
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
