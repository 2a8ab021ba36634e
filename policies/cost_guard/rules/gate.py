"""What the rules share: the verdict on a Fleet's inputs, once a resource, and a rule that reports one reason of it.

Everything fails closed: an unknown, missing or misspelt input, an unreadable catalogue and any other exception are
violations, because the engine turns an UnknownValueError into an advisory note and an exception into a failed run that
names no reason. Values of inputs that the scenario does not know are never shown: secrets reach a pack in plain text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from pulumi_policy import EnforcementLevel, ReportViolation, ResourceValidationArgs, ResourceValidationPolicy
from pulumi_policy.proxy import UnknownValueError

from cost_guard import (
    Level,
    ScenarioError,
    Verdict,
    evaluate,
    load_catalogue,
    parse_baseline,
    parse_scenario,
    parse_usage,
)
from cost_guard.verdict import CODES

FLEET_TYPE = "crossover:index:Fleet"
TODAY_VARIABLE = "CROSSOVER_TODAY"
"""Set to YYYY-MM-DD, it stands in for the clock."""


@dataclass(frozen=True)
class Failure:
    """The gate cannot evaluate; `lines` say why."""

    lines: tuple[str, ...]


def judge(args: ResourceValidationArgs) -> Verdict | Failure:
    """The verdict on the Fleet's inputs as of today; the same inputs are evaluated once. Never raises."""
    try:
        inputs = plain(args.props)
        return _judge(json.dumps(inputs, sort_keys=True), _today())
    except UnknownValueError as error:
        where = ".".join(error.props)
        return Failure((f"crossover:{where}: unknown until the update runs; the gate needs it known at preview",))
    except Exception as error:
        return Failure((f"internal error, {type(error).__name__}: report it",))


def plain(value: Any) -> Any:
    """Proxies as plain dicts and lists. Touches everything, so it raises UnknownValueError if anything is unknown."""
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [plain(item) for item in value]


def _today() -> date | None:
    """None where the variable holds no date."""
    given = os.environ.get(TODAY_VARIABLE)
    if not given:
        return date.today()
    try:
        return date.fromisoformat(given)
    except ValueError:
        return None


@lru_cache(maxsize=32)
def _judge(inputs: str, today: date | None) -> Verdict | Failure:
    if today is None:
        return Failure((f"{TODAY_VARIABLE} must be a date as YYYY-MM-DD",))
    data: dict[str, Any] = json.loads(inputs)
    approved, measured = data.pop("baseline", None), data.pop("usage", None)
    try:
        baseline = parse_baseline(approved) if approved is not None else None
        usage = parse_usage(measured) if measured is not None else None
        return evaluate(parse_scenario(data), load_catalogue(), today, baseline, usage=usage)
    except ScenarioError as error:
        return Failure(tuple(error.lines))
    except Exception as error:
        return Failure((f"internal error, {type(error).__name__}: report it",))


def fleet_rule(code: str, description: str) -> ResourceValidationPolicy:
    """The mandatory rule that reports a BLOCK of one reason code, and refuses what cannot be evaluated."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type != FLEET_TYPE:
            return
        verdict = judge(args)
        if isinstance(verdict, Failure):
            report_failure(code, verdict, report)
            return
        for reason in verdict.reasons:
            if reason.code == code and reason.level is Level.BLOCK:
                report(reason.line(), None)

    return mandatory(code, description, validate)


def report_failure(code: str, failure: Failure, report: ReportViolation) -> None:
    """Every rule refuses; the first tells all lines, the others only that there are some."""
    if code == CODES[0]:
        report("\n".join(f"cannot evaluate: {line}" for line in failure.lines), None)
    else:
        more = f" (and {len(failure.lines) - 1} more, see {CODES[0]})" if len(failure.lines) > 1 else ""
        report(f"cannot evaluate: {failure.lines[0]}{more}", None)


def mandatory(
    name: str, description: str, validate: Callable[[ResourceValidationArgs, ReportViolation], None]
) -> ResourceValidationPolicy:
    """A resource rule that stops the resource in preview, in up, and in up --skip-preview."""
    return ResourceValidationPolicy(
        name=name, description=description, validate=validate, enforcement_level=EnforcementLevel.MANDATORY
    )
