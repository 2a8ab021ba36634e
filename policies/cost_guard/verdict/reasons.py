"""One function a reason code: what it takes to block, what to warn, and the words (docs/reference/gate.md)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic.breakeven import Staircase, to_decimal
from cost_guard.arithmetic.capacity import peak_tokens_per_second, placement
from cost_guard.arithmetic.costing import Case, Rung, displaced_words, money, volume_words
from cost_guard.arithmetic.managed import ManagedPrice
from cost_guard.catalogue.catalogue import MANAGED, PRICES, ManagedModel, Price
from cost_guard.scenario.fleet import LadderFleet
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.verdict.verdict import BreakEven, Level, Reason, worst
from cost_guard.wording import DOWN, UP, per_million, usd

FRESH_DAYS, STALE_DAYS = 90, 180
YOUNG_FLEET_DAYS = 30
EVEN_ODDS, LIKELY = 0.5, 0.8
"""Below the first probability blocks, below the second it warns."""
BUDGET_WARNING = Fraction(9, 10)


def break_even(case: Case) -> Reason | None:
    """BLOCK where it does not pay at V; WARN where it pays at V but not at every larger volume."""
    stairs, volume = case.stairs, case.volume
    if not stairs.pays(volume):
        gap = money(stairs.cost(volume) - stairs.managed(volume))
        words = f"{case.subject()}, {gap}/month too much. {break_even_words(case)} {_flips(case)}"
        return Reason("break-even", Level.BLOCK, words)
    band = stairs.losing_after(volume)
    if band is None:
        return None
    lo, nodes = volume_words(band.lo, DOWN), wording.count(stairs.nodes_at(band.lo) + 1, "node")
    pays = f"it pays at {displaced_words(case.scenario)}, but"
    if band.hi is None or stairs.stable is None:
        words = f"{pays} just above {lo} ({nodes}) it would not, and never for good: {_no_stable(stairs)}."
        return Reason("break-even", Level.WARN, words)
    words = f"{pays} between {lo} and {volume_words(band.hi, UP)} tokens/month ({nodes}) it would not"
    return Reason("break-even", Level.WARN, f"{words}; it pays for good from {volume_words(stairs.stable, UP)}.")


def break_even_words(case: Case) -> str:
    """Where break-even is, and how far the projection is from it."""
    stairs, volume = case.stairs, case.volume
    first, stable = stairs.first, stairs.stable
    if first is None:
        return f"No break-even exists: {_no_stable(stairs)}."
    text = f"Break-even is {volume_words(first, UP)} tokens/month"
    if stable is None:
        text += f", and none is stable: {_no_stable(stairs)}"
    elif stable != first:
        text += f", stable only from {volume_words(stable, UP)}"
    if volume < first:
        text += f"; the projection is {wording.percent(to_decimal(volume / first))} of it"
    return text + "."


def _no_stable(stairs: Staircase) -> str:
    marginal = per_million(to_decimal(stairs.marginal_usd_per_million), UP)
    return (
        f"beyond {wording.count(stairs.nodes, 'node')}, self-hosted tokens cost {marginal}, "
        f"not below the managed {per_million(stairs.usd_per_million)}"
    )


def _flips(case: Case) -> str:
    """What would turn a break-even BLOCK: volume, managed price, node price. Bounds are rounded to the safe side."""
    stairs, volume = case.stairs, case.volume
    more = stairs.next_paying(volume)
    by_volume = f"at ≥ {volume_words(more, UP)} tokens/month" if more is not None else "at no larger volume"
    price = to_decimal(stairs.cost(volume) / volume * 10**6)
    room = (stairs.managed(volume) - stairs.overhead) / stairs.nodes_at(volume)
    if room > 0:
        by_node = f"or with a node at ≤ {usd(to_decimal(room), DOWN)}/month"
    else:
        by_node = f"but at no price of a node: the overhead alone is {money(stairs.overhead)}/month"
    return f"It would pay {by_volume}, at a managed price of ≥ {per_million(price, UP)}, {by_node}."


def probability(found: BreakEven, case: Case) -> Reason | None:
    """By the share of draws in which the volume reaches the stable break-even."""
    share = found.probability
    if share is None or share >= LIKELY:
        return None
    quantiles = (("P10", found.p10), ("P50", found.p50), ("P90", found.p90))
    told = ", ".join(f"{name} {'none' if at is None else wording.tokens(Decimal(at))}" for name, at in quantiles)
    spread = "in nine of ten draws none exists" if found.p10 is None else f"it is {told} tokens/month"
    level, limit = (Level.BLOCK, EVEN_ODDS) if share < EVEN_ODDS else (Level.WARN, LIKELY)
    draws = case.scenario.uncertainty.draws
    return Reason(
        "probability",
        level,
        f"in {wording.percent(Decimal(share))} of {draws:,} draws the volume reaches the break-even from which it pays "
        f"for good, under {wording.percent(Decimal(limit), 0)}; {spread}.",
    )


def capacity(case: Case) -> Reason | None:
    """BLOCK where the peak exceeds all nodes; WARN where it exceeds all but one, or the plan asks for more nodes."""
    stairs, volume, rate = case.stairs, case.volume, Fraction(case.tokens_per_second)
    work, fleet = case.scenario.workload, case.scenario.fleet
    peak = peak_tokens_per_second(volume, work.peak_to_mean)
    needed = stairs.nodes_at(volume)
    peak_words = f"the peak of {wording.rate(to_decimal(peak), UP)} ({work.peak_to_mean:f} × the mean)"
    have = wording.count(stairs.nodes, "node")
    if peak > stairs.nodes * rate:
        limit = volume * stairs.nodes * rate / peak
        return Reason(
            "capacity",
            Level.BLOCK,
            f"{peak_words} is above the {wording.rate(to_decimal(stairs.nodes * rate), DOWN)} of {have}. It would fit "
            f"at ≤ {volume_words(limit, DOWN)} tokens/month, or with the {wording.count(needed, 'node')} that "
            f"{wording.percent(fleet.target_utilisation)} utilisation and {stairs.spare} spare ask for.",
        )
    trouble = []
    if needed > stairs.nodes:
        trouble.append(
            f"{wording.percent(fleet.target_utilisation)} utilisation at the peak and {stairs.spare} spare ask "
            f"for {wording.count(needed, 'node')}, the fleet has {stairs.nodes}"
        )
    if not survives_one_loss(case):
        trouble.append(f"{peak_words} is more than the fleet serves after the loss of one of {have}")
    return Reason("capacity", Level.WARN, "; ".join(trouble) + ".") if trouble else None


def survives_one_loss(case: Case) -> bool:
    """V·ρ/H ≤ (nodes − 1)·C."""
    peak = peak_tokens_per_second(case.volume, case.scenario.workload.peak_to_mean)
    return peak <= (case.stairs.nodes - 1) * Fraction(case.tokens_per_second)


def redundancy(scenario: Scenario) -> Reason | None:
    """BLOCK below two nodes, and where no choice of candidates keeps the failure domains apart."""
    fleet = scenario.fleet
    if fleet.node_count < 2:
        return Reason("redundancy", Level.BLOCK, "one node is not redundant; a fleet needs at least 2 nodes.")
    if not isinstance(fleet, LadderFleet):
        return None
    ladders = {key: [(rung.cloud, rung.region) for rung in node.candidates] for key, node in fleet.nodes.items()}
    if placement(ladders, fleet.max_per_failure_domain) is not None:
        return None
    domains = sorted({f"{cloud}/{region}" for rungs in ladders.values() for cloud, region in rungs})
    listed = ", ".join(domains[:6]) + (", …" if len(domains) > 6 else "")
    return Reason(
        "redundancy",
        Level.BLOCK,
        f"no choice of candidates keeps {fleet.node_count} nodes at {fleet.max_per_failure_domain} per failure domain "
        f"(cloud + region; the candidates offer {listed}); give them candidates in more regions or clouds, or raise "
        f"maxPerFailureDomain.",
    )


def price_known(rung: Rung, managed: ManagedPrice) -> Reason | None:
    """BLOCK where a price or a throughput is missing."""
    unknown = " ".join(filter(None, (rung.unknown, managed.unknown)))
    return Reason("price-known", Level.BLOCK, unknown) if unknown else None


def price_fresh(rung: Rung, managed: ManagedPrice, today: date) -> Reason | None:
    """By the age of the catalogue's prices; a price given in the scenario has no age."""
    rows: Sequence[Price | ManagedModel] = [*filter(None, [rung.price]), *(route.row for route in managed.routes)]
    found = [reason for row in rows if (reason := age_of_price(row, today))]
    if not found:
        return None
    return Reason("price-fresh", worst(one.level for one in found), " ".join(one.message for one in found))


def age_of_price(row: Price | ManagedModel, today: date) -> Reason | None:
    """What is to be said of one row of the catalogue; None while it is fresh."""
    age = (today - row.date).days
    text = f"the price of {row.key} is of {row.date}, {age} days old"
    file = MANAGED if isinstance(row, ManagedModel) else PRICES
    todo = f"look it up again and change its row, date and source in the pack's data/{file}."
    if age > STALE_DAYS:
        return Reason("price-fresh", Level.BLOCK, f"{text} (over {STALE_DAYS}); {todo}")
    if age > FRESH_DAYS:
        return Reason("price-fresh", Level.WARN, f"{text} (over {FRESH_DAYS}); {todo}")
    if age < 0:
        return Reason("price-fresh", Level.WARN, f"the price of {row.key} is dated {row.date}, after {today}.")
    return None


def volume_measured(kind: str, today: date, fleet_since: date | None, volume_date: date | None) -> Reason | None:
    """By how the volume is known: asserted, forecast or measured, and by the age of the fleet and of the data."""
    if volume_date is not None and (age := (today - volume_date).days) > FRESH_DAYS:
        level, limit = (Level.BLOCK, STALE_DAYS) if age > STALE_DAYS else (Level.WARN, FRESH_DAYS)
        text = f"the volume is of {volume_date}, {age} days old (over {limit}); measure it again."
        return Reason("volume-measured", level, text)
    if volume_date is not None and volume_date > today:
        return Reason("volume-measured", Level.WARN, f"the volume is dated {volume_date}, after {today}.")
    if kind == "measured":
        return None
    if kind == "forecast":
        return Reason("volume-measured", Level.WARN, "the volume is a forecast, not measured.")
    if fleet_since is not None and (age := (today - fleet_since).days) > YOUNG_FLEET_DAYS:
        return Reason(
            "volume-measured",
            Level.BLOCK,
            f"the volume is asserted, and the fleet runs since {fleet_since}, {age} days (over {YOUNG_FLEET_DAYS}): "
            f"measure it (crossover usage import).",
        )
    return Reason("volume-measured", Level.WARN, "the volume is asserted, not measured.")


def budget(case: Case) -> Reason | None:
    """By what the fleet bills whatever the volume: nodes and overhead, against constraints.budgetUsdPerMonth."""
    limit = case.scenario.constraints.budget_usd_per_month
    if limit is None:
        return None
    fixed = case.stairs.fixed
    text = f"nodes and overhead cost {money(fixed)}/month, the budget is {usd(limit)}/month"
    if fixed > Fraction(limit):
        over = money(fixed - Fraction(limit))
        return Reason("budget", Level.BLOCK, f"{text}: {over} over it. Fewer or cheaper nodes, or a larger budget.")
    if fixed > BUDGET_WARNING * Fraction(limit):
        used = wording.percent(to_decimal(fixed / Fraction(limit)))
        return Reason("budget", Level.WARN, f"{text}: {used} of it is used.")
    return None


def exceeds(baseline: Baseline, nodes: int, fixed: Fraction) -> bool:
    """The deployment is growth: more nodes, or more money a month, than was approved."""
    return nodes > baseline.nodes or fixed > Fraction(baseline.usd_per_month)
