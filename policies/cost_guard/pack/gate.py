"""The verdict on a Fleet's inputs, reckoned once for all rules, and once more at a plan's end, with what it makes
besides nodes. Loading this takes most of the pack's start: it is done beside the program's (`warm_up`), and who asks
for a verdict before that waits.

Everything fails closed: an unknown, missing or misspelt input, an unreadable catalogue and any other exception are
violations, because the engine turns an UnknownValueError into an advisory note and an exception into a failed run that
names no reason. Values of inputs that the scenario does not know are never shown: secrets reach a pack in plain text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pulumi_policy import ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

from cost_guard.catalogue.catalogue import Catalogue, CatalogueError, load_catalogue
from cost_guard.codes import Level
from cost_guard.pack import standing
from cost_guard.pack.rule import CannotJudge, Failure, unwrapped
from cost_guard.pack.standing import standing_day, standing_waivers
from cost_guard.scenario.fleet import Fleet, QuotationFleet
from cost_guard.scenario.proposal import BESIDE, Proposal, parse_scenario, proposal_of_inputs
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.waiver_file import WaiverError
from cost_guard.verdict.facts.beside import resource_facts
from cost_guard.verdict.facts.facts import overhead_usd_per_month
from cost_guard.verdict.facts.rungs import served_tokens_per_second
from cost_guard.verdict.judge import judge, judge_stack
from cost_guard.verdict.rule import STALE_DAYS
from cost_guard.verdict.verdict import Verdict
from cost_guard.wording import to_decimal
from strict.day import VARIABLE as DAY_VARIABLE

_passing: tuple[Mapping[str, Any], str] = {}, ""
"""What the rules are shown just now, one and the same object to all of them, and the same as JSON."""


def verdict_on(args: ResourceValidationArgs) -> Verdict | Failure:
    """The verdict on the Fleet's inputs under the waivers, as of today; the same inputs are evaluated once. Never
    raises."""
    try:
        return _judge(_inputs(args.props), args.urn, standing_day())
    except UnknownValueError as error:
        where = ".".join(error.props)
        return Failure((f"crossover:{where}: unknown until the update runs; the gate needs it known at preview",))
    except Exception as error:
        return Failure((f"internal error, {type(error).__name__}: report it",))


def _inputs(props: Mapping[str, Any]) -> str:
    """As JSON: of the resource that is passing, for each rule once. Raises UnknownValueError."""
    global _passing
    passing = _passing
    if passing[0] is not props:
        passing = _passing = props, json.dumps(unwrapped(props), sort_keys=True)
    return passing[1]


def fleet_of(args: ResourceValidationArgs) -> tuple[Fleet, Catalogue]:
    """What a Fleet's inputs ask for, and the catalogue. Raises UnknownValueError and CannotJudge."""
    data = {key: value for key, value in unwrapped(args.props).items() if key not in BESIDE}
    try:
        return parse_scenario(data).fleet, load_catalogue()
    except (ScenarioError, CatalogueError) as error:
        raise CannotJudge(error.lines[0]) from None


def warm_up() -> None:
    """Loads what the first verdict needs and importing this module does not: the catalogue, waivers and numpy."""
    standing_waivers()
    with suppress(CatalogueError):  # told by whoever asks for a verdict
        load_catalogue()
    import numpy.random  # noqa: F401


@lru_cache(maxsize=32)
def _judge(inputs: str, urn: str, day: date | None) -> Verdict | Failure:
    waivers = standing_waivers()
    if day is None:
        return Failure((f"{DAY_VARIABLE} must be a date as YYYY-MM-DD",))
    if isinstance(waivers, WaiverError):
        return Failure(tuple(waivers.lines))
    data: dict[str, Any] = json.loads(inputs)
    try:
        given = proposal_of_inputs(data)
        catalogue = load_catalogue()
        quoted = isinstance(given.scenario.fleet, QuotationFleet)
        if quoted and (refused := not_contracted(given, catalogue, day)):
            return Failure((refused,))
        standing.program.fleets[urn] = given.under(waivers, urn)
        return judge(standing.program.fleets[urn], catalogue, day)
    except (ScenarioError, CatalogueError) as error:
        return Failure(tuple(error.lines))
    except Exception as error:
        return Failure((f"internal error, {type(error).__name__}: report it",))


NO_CONTRACT = (
    "crossover:fleet: usdPerNodeMonth and tokensPerSecond are its own, and no contract in the catalogue says as much "
    "for workload.model; name the SKU, or add a row of kind contract, with its reference, to the pack's prices.toml"
)


def _as_fast(given: Proposal, key: str, catalogue: Catalogue) -> bool:
    """Whether that machine serves the model at least as fast as the fleet says."""
    fleet, model = given.scenario.fleet, given.scenario.workload.model
    served = None if model is None else catalogue.throughput(model, key)
    return (
        isinstance(fleet, QuotationFleet)
        and served is not None
        and served_tokens_per_second(given.scenario, served) >= Fraction(fleet.tokens_per_second)
    )


def not_contracted(given: Proposal, catalogue: Catalogue, today: date) -> str:
    """Why no catalogue row of kind `contract` stands for the price that the fleet gives, and no row of throughputs for
    its speed; empty where they do. Reserved and spot do not: what they add to a price, only a fleet that names the row
    reckons with."""
    fleet = given.scenario.fleet
    assert isinstance(fleet, QuotationFleet)
    said = [
        price
        for key, price in catalogue.prices.items()
        if (price.kind, price.terms) == ("contract", "on-demand")
        and price.usd_per_month == fleet.usd_per_node_month
        and _as_fast(given, key, catalogue)
    ]
    if not said:
        return NO_CONTRACT
    latest = max(said, key=lambda price: price.date)
    if (today - latest.date).days <= STALE_DAYS:
        return ""
    return (
        f"crossover:fleet: usdPerNodeMonth rests on the contract {latest.contract} ({latest.key}) as of {latest.date}, "
        f"over {STALE_DAYS} days ago; look it up again and change the row's date"
    )


def blocks_with(usd_per_month: Fraction) -> Iterator[tuple[str, str]]:
    """Fleet URN and words of what blocks where all resources besides nodes cost that much, and does not by the Fleets'
    own inputs. Nothing where the inputs count as much already, or cannot be judged: others refuse them. Raises
    CatalogueError."""
    before, day = dict(standing.program.fleets), standing_day()
    if not before or day is None:
        return
    catalogue = load_catalogue()
    after = {urn: _with(one, usd_per_month, catalogue) for urn, one in before.items()}
    if all(_besides(after[urn], catalogue) == _besides(one, catalogue) for urn, one in before.items()):
        return
    try:
        known = {(urn, code) for urn, code, _ in _blocks(judge_stack(before, catalogue, day), before)}
        found = _blocks(judge_stack(after, catalogue, day), after)
    except ScenarioError:
        return
    yield from ((urn, line) for urn, code, line in found if (urn, code) not in known)


def _with(given: Proposal, usd_per_month: Fraction, catalogue: Catalogue) -> Proposal:
    """What the inputs list is a part of what the plan makes, so it does not count twice."""
    own = resource_facts(replace(given, more_usd_per_month=Decimal(0)), catalogue).usd_per_month
    return replace(given, more_usd_per_month=to_decimal(max(usd_per_month - own, Fraction(0))))


def _besides(given: Proposal, catalogue: Catalogue) -> Fraction:
    return overhead_usd_per_month(given, resource_facts(given, catalogue))


def _blocks(verdict: Verdict, fleets: dict[str, Proposal]) -> Iterator[tuple[str, str, str]]:
    """Fleet URN, code and line of each reason that blocks."""
    for urn, one in zip(fleets, verdict.models or (verdict,), strict=True):
        for reason in one.reasons:
            if reason.level is Level.BLOCK:
                yield urn, reason.code, reason.line()
