"""A rule that reports one reason of the verdict on a Fleet's inputs, and what a rule may ask about them.

The verdict is reckoned by `gate`, which is imported when it is first needed: the engine starts no program before the
pack has answered which rules it has, and loading the catalogue's and the scenario's models would delay that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulumi_policy import ResourceValidationArgs, Severity

from cost_guard.pack.rule import Finding, Rule
from cost_guard.verdict.verdict import CODES, RULES, Level, Verdict

if TYPE_CHECKING:
    from cost_guard.catalogue.catalogue import Catalogue
    from cost_guard.scenario.fleet import Fleet

FLEET_TYPE = "crossover:index:Fleet"


@dataclass(frozen=True)
class Failure:
    """The gate cannot evaluate; `lines` say why."""

    lines: tuple[str, ...]


def judge(args: ResourceValidationArgs) -> Verdict | Failure:
    """`gate.judge`: never raises."""
    from cost_guard.pack import gate

    return gate.judge(args)


def fleet(args: ResourceValidationArgs) -> tuple[Fleet, Catalogue]:
    """`gate.fleet`. Raises UnknownValueError and CannotJudge."""
    from cost_guard.pack import gate

    return gate.fleet(args)


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

    return Rule(code, severity, RULES[code].demand, remediation, (FLEET_TYPE,), find, key=RULES[code].key)


def _failure(code: str, failure: Failure) -> str:
    """Every rule refuses; the first tells all lines, the others only that there are some."""
    if code == CODES[0]:
        return "\n".join(f"cannot evaluate: {line}" for line in failure.lines)
    more = f" (and {len(failure.lines) - 1} more, see {CODES[0]})" if len(failure.lines) > 1 else ""
    return f"cannot evaluate: {failure.lines[0]}{more}"
