"""What a rule is: a policy on single resources with what a reader needs to act on it, and whose violations a waiver may
lift.

A rule is a function from a resource's inputs to complaints; enforcement level, waivers, configuration and failures are
handled here once. Everything fails closed, but for inputs that only `up` knows (`unknown="noted"`): those raise
UnknownValueError, which the engine shows as a note in preview; in `up` everything is known, and the rule holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
)
from pulumi_policy.proxy import UnknownValueError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from cost_guard.codes import NEVER_WAIVED
from cost_guard.scenario.waivers import WaiverError, Waivers, load_waivers
from cost_guard.verdict.verdict import Level
from strict.places import Place

TODAY_VARIABLE = "CROSSOVER_TODAY"
"""Set to YYYY-MM-DD, it stands in for the clock."""
DOCS = "docs/reference/policies.md"
"""In the repository; each rule has a section of its own there."""
ROOT = Path(__file__).resolve().parents[3]
"""The folder in which the pack's folder lies: waivers.yaml is there."""

NODES: Place = ("fleet", "nodes")
"""Of the configuration: what most rules speak of."""


class CannotJudge(Exception):
    """A check cannot be made; the message may be shown: it says what, where and what to do."""


class NoConfig(BaseModel):
    """Of a rule that has nothing to configure."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


def looks_at(rule: Any, kind: str) -> bool:
    """Whether a rule of the pack is to be asked about resources of that type."""
    return any(fnmatchcase(kind, glob) for glob in rule.looks_at)


@dataclass(frozen=True)
class Finding:
    """What a rule says of one resource."""

    level: Literal[Level.BLOCK, Level.WAIVED]
    message: str


Check = Callable[[ResourceValidationArgs, Any], Iterable[str]]
"""A resource and the rule's configuration → complaints, a line each."""


class Rule(ResourceValidationPolicy):
    """A mandatory rule: it stops the resource in preview, in `up`, and in `up --skip-preview`."""

    looks_at: tuple[str, ...]
    """Globs over resource types; of others it is never asked."""
    config: type[BaseModel]
    key: Place
    """Of the configuration: what it speaks of, where a report points."""

    def __init__(
        self,
        code: str,
        severity: Severity,
        description: str,
        remediation: str,
        looks_at: tuple[str, ...],
        find: Callable[[ResourceValidationArgs, Any], Iterable[Finding]],
        config: type[BaseModel] = NoConfig,
        key: Place = NODES,
    ) -> None:
        super().__init__(
            code,
            description,
            self._report,
            EnforcementLevel.MANDATORY,
            PolicyConfigSchema(config.model_json_schema().get("properties", {})),
            severity=severity,
            remediation_steps=remediation,
            url=f"{DOCS}#{code}",
        )
        self.looks_at, self.config, self.key, self._find = looks_at, config, key, find
        self.waived: dict[str, list[str]] = {}
        """URN → what a waiver lifts there, until it is shown."""

    def findings(self, args: ResourceValidationArgs) -> Iterator[Finding]:
        """What is known first. Raises UnknownValueError after it where the rule leaves an unknown to `up`."""
        if not looks_at(self, args.resource_type):
            return
        try:
            config = self.config.model_validate(dict(args.get_config()))
        except ValidationError as error:
            yield from (Finding(Level.BLOCK, line) for line in config_lines(self.config, error))
        else:
            yield from self._find(args, config)

    def _report(self, args: ResourceValidationArgs, report: ReportViolation) -> None:
        for finding in self.findings(args):
            if finding.level is Level.BLOCK:
                report(finding.message, None)
            else:
                self.waived.setdefault(args.urn, []).append(finding.message)


def rule(
    code: str,
    severity: Severity,
    description: str,
    remediation: str,
    looks_at: tuple[str, ...],
    check: Check,
    config: type[BaseModel] = NoConfig,
    unknown: Literal["refused", "noted"] = "refused",
    key: Place = NODES,
) -> Rule:
    """The rule of a check. Exceptions are violations, and unknown inputs too unless they are only to be noted."""

    def find(args: ResourceValidationArgs, settings: Any) -> Iterable[Finding]:
        try:
            for message in check(args, settings):
                yield settle(code, message, args.urn)
        except UnknownValueError as error:
            if unknown == "noted":
                raise
            where = ".".join(error.props)
            yield Finding(Level.BLOCK, f"{where} is unknown until the update runs; it must be known at preview")
        except CannotJudge as error:
            yield Finding(Level.BLOCK, f"cannot evaluate: {error}")
        except Exception as error:  # without its text, which might hold an input
            yield Finding(Level.BLOCK, f"cannot judge {args.name}: internal error, {type(error).__name__}: report it")

    return Rule(code, severity, description, remediation, looks_at, find, config, key)


seen: set[tuple[str, str]] = set()
"""Code and URN of every violation that was seen."""


def settle(code: str, message: str, urn: str) -> Finding:
    """A violation as it stands under the waivers of today."""
    seen.add((code, urn))
    day, waivers = standing_day(), standing_waivers()
    if code in NEVER_WAIVED:
        return Finding(Level.BLOCK, message)
    if isinstance(waivers, WaiverError):
        return Finding(Level.BLOCK, f"{message} ({waivers.lines[0]})")
    if day is None:
        return Finding(Level.BLOCK, f"{message} ({TODAY_VARIABLE} must be a date as YYYY-MM-DD)")
    level, words = waivers.settle(code, message, urn, day)
    return Finding(Level.WAIVED if level is Level.WAIVED else Level.BLOCK, words)


def standing_day() -> date | None:
    """None where the variable holds no date."""
    given = os.environ.get(TODAY_VARIABLE)
    if not given:
        return date.today()
    try:
        return date.fromisoformat(given)
    except ValueError:
        return None


@lru_cache(maxsize=1)
def standing_waivers() -> Waivers | WaiverError:
    """Those of the file, or why it cannot be used."""
    try:
        return load_waivers(ROOT)
    except WaiverError as error:
        return error


def unwrapped(value: Any) -> Any:
    """Proxies as plain dicts and lists. Touches everything, so it raises UnknownValueError if anything is unknown."""
    if isinstance(value, Mapping):
        return {key: unwrapped(value[key]) for key in value}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [unwrapped(item) for item in value]


def config_lines(model: type[BaseModel], error: ValidationError) -> list[str]:
    """What is wrong with a rule's configuration, a line a property."""
    known = ", ".join(field.alias or name for name, field in model.model_fields.items()) or "none"
    return [
        f"the rule's configuration cannot be used: {'.'.join(map(str, detail['loc']))}: "
        + (f"unknown property; known are {known}" if detail["type"] == "extra_forbidden" else detail["msg"])
        for detail in error.errors(include_url=False)
    ]
