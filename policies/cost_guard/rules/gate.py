"""What the rules share: the verdict on a Fleet's inputs, once a resource, and a rule that reports one reason of it.

Everything fails closed: an unknown, missing or misspelt input, an unreadable catalogue and any other exception are
violations, because the engine turns an UnknownValueError into an advisory note and an exception into a failed run that
names no reason. Values of inputs that the scenario does not know are never shown: secrets reach a pack in plain text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from pulumi_policy import ResourceValidationArgs, Severity
from pulumi_policy.proxy import UnknownValueError

from cost_guard import (
    Catalogue,
    CatalogueError,
    Level,
    ScenarioError,
    Verdict,
    evaluate,
    load_catalogue,
    parse_baseline,
    parse_scenario,
    parse_usage,
)
from cost_guard.fleet import QuotationFleet
from cost_guard.verdict import CODES, RULES
from cost_guard.waivers import WaiverError, apply

from .rule import TODAY_VARIABLE, Finding, Rule, plain, stack_of, standing_waivers, today

__all__ = ["FLEET_TYPE", "TODAY_VARIABLE", "Failure", "fleet_rule", "judge"]

FLEET_TYPE = "crossover:index:Fleet"
BESIDE = ("baseline", "usage")
"""Keys of a Fleet's inputs that are no part of the scenario."""


@dataclass(frozen=True)
class Failure:
    """The gate cannot evaluate; `lines` say why."""

    lines: tuple[str, ...]


def judge(args: ResourceValidationArgs) -> Verdict | Failure:
    """The verdict on the Fleet's inputs under the waivers, as of today; the same inputs are evaluated once. Never
    raises."""
    try:
        inputs = plain(args.props)
        return _judge(json.dumps(inputs, sort_keys=True), args.urn, today())
    except UnknownValueError as error:
        where = ".".join(error.props)
        return Failure((f"crossover:{where}: unknown until the update runs; the gate needs it known at preview",))
    except Exception as error:
        return Failure((f"internal error, {type(error).__name__}: report it",))


def scenario_data(args: ResourceValidationArgs) -> dict[str, Any]:
    """The scenario in a Fleet's inputs, as plain data. Raises UnknownValueError."""
    return {key: value for key, value in plain(args.props).items() if key not in BESIDE}


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
        return Failure((f"{TODAY_VARIABLE} must be a date as YYYY-MM-DD",))
    if isinstance(waivers, WaiverError):
        return Failure(tuple(waivers.lines))
    data: dict[str, Any] = json.loads(inputs)
    approved, measured = (data.pop(key, None) for key in BESIDE)
    try:
        baseline = parse_baseline(approved) if approved is not None else None
        usage = parse_usage(measured) if measured is not None else None
        scenario, catalogue = parse_scenario(data), load_catalogue()
        if isinstance(scenario.fleet, QuotationFleet) and not rests_on_contract(scenario.fleet, catalogue):
            return Failure((NO_CONTRACT,))
        verdict = evaluate(scenario, catalogue, day, baseline, usage=usage)
        return apply(verdict, waivers, stack_of(urn), urn, day)
    except ScenarioError as error:
        return Failure(tuple(error.lines))
    except Exception as error:
        return Failure((f"internal error, {type(error).__name__}: report it",))


NO_CONTRACT = (
    "crossover:fleet: usdPerNodeMonth and tokensPerSecond are its own, and no contract in the catalogue says the same; "
    'name the SKU, or add a row of kind "contract", with its reference, to the pack\'s data/prices.toml'
)


def rests_on_contract(fleet: QuotationFleet, catalogue: Catalogue) -> bool:
    """Whether a catalogue row of kind `contract` has the price that the fleet gives, and its throughput."""
    return any(
        price.kind == "contract"
        and price.usd_per_month == fleet.usd_per_node_month
        and key in catalogue.throughputs
        and catalogue.throughputs[key].tokens_per_second == fleet.tokens_per_second
        for key, price in catalogue.prices.items()
    )


def fleet_rule(code: str, severity: Severity, remediation: str) -> Rule:
    """The rule that reports a BLOCK of one reason code, and refuses what cannot be evaluated."""

    def find(args: ResourceValidationArgs, _: Any) -> Iterable[Finding]:
        verdict = judge(args)
        if isinstance(verdict, Failure):
            yield Finding(Level.BLOCK, _failure(code, verdict))
            return
        for reason in verdict.reasons:
            if reason.code == code and reason.level is Level.BLOCK:
                yield Finding(Level.BLOCK, reason.line())

    return Rule(code, severity, RULES[code].demand, remediation, (FLEET_TYPE,), find)


def _failure(code: str, failure: Failure) -> str:
    """Every rule refuses; the first tells all lines, the others only that there are some."""
    if code == CODES[0]:
        return "\n".join(f"cannot evaluate: {line}" for line in failure.lines)
    more = f" (and {len(failure.lines) - 1} more, see {CODES[0]})" if len(failure.lines) > 1 else ""
    return f"cannot evaluate: {failure.lines[0]}{more}"
