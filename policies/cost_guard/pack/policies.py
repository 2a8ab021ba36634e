"""The rules as the SDK's policies: enforcement level, waivers, configuration and failures are handled here, once.

Everything fails closed, but for inputs that only `up` knows (`unknown="noted"`): those raise UnknownValueError, which
the engine shows as a note in preview; in `up` everything is known, and the rule holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pulumi_policy as sdk
from pulumi_policy import ReportViolation, ResourceValidationArgs, StackValidationArgs
from pulumi_policy.proxy import UnknownValueError

from cost_guard.codes import Level, Rule
from cost_guard.pack import registry
from cost_guard.pack.fleet import verdict_on
from cost_guard.pack.rule import CannotJudge, Failure, NoConfig, ResourceRule, StackRule, looks_at
from cost_guard.pack.standing import program, settled
from cost_guard.verdict.rule import VerdictRule
from strict import names
from strict.problems import Problems, parse

CONFIG = "the rule's configuration cannot be used: "


Found = tuple[Level, str]
"""What a rule says of one resource: BLOCK, or WAIVED, and the words."""


class ResourcePolicy(sdk.ResourceValidationPolicy):
    """A mandatory rule on single resources, those of the verdict included."""

    def __init__(self, rule: Rule, looks_at: tuple[str, ...], config: type[NoConfig] = NoConfig) -> None:
        super().__init__(
            rule.code,
            rule.demand,
            self._report,
            sdk.EnforcementLevel.MANDATORY,
            _schema(config),
            severity=sdk.Severity(str(rule.severity)),
            remediation_steps=rule.remedy,
            url=rule.docs,
        )
        self.looks_at, self.config, self.rule = looks_at, config, rule
        self.waived: dict[str, list[str]] = {}
        """URN → what a waiver lifts there, until it is shown."""

    def violations(self, args: ResourceValidationArgs) -> Iterator[Found]:
        """What is known first. Raises UnknownValueError after it where the rule leaves an unknown to `up`."""
        if not looks_at(self, args.resource_type):
            return
        try:
            config = parse(self.config, args.get_config(), CONFIG)
        except Problems as error:
            yield from ((Level.BLOCK, line) for line in error.lines)
        else:
            yield from self._find(args, config)

    def _find(self, args: ResourceValidationArgs, config: NoConfig) -> Iterable[Found]:
        if isinstance(self.rule, ResourceRule):
            return _of_resource(self.rule, args, config)
        return _of_verdict(self.rule.code, args)

    def _report(self, args: ResourceValidationArgs, report: ReportViolation) -> None:
        for level, words in self.violations(args):
            if level is Level.BLOCK:
                report(words, None)
            else:
                self.waived.setdefault(args.urn, []).append(words)


def _schema(config: type[NoConfig]) -> sdk.PolicyConfigSchema | None:
    """None for what has nothing to configure: most rules, and each schema is built before the engine goes on."""
    return sdk.PolicyConfigSchema(config.model_json_schema()["properties"]) if config.model_fields else None


def _of_resource(rule: ResourceRule, args: ResourceValidationArgs, config: NoConfig) -> Iterator[Found]:
    """Exceptions are violations, and unknown inputs too unless they are only to be noted."""
    try:
        for message in rule.check(args, config):
            yield settled(rule.code, message, args.urn)
    except UnknownValueError as error:
        if rule.unknown == "noted":
            raise
        where = ".".join(error.props)
        yield Level.BLOCK, f"{where} is unknown until the update runs; it must be known at preview"
    except CannotJudge as error:
        yield Level.BLOCK, f"cannot evaluate: {error}"
    except Exception as error:  # without its text, which might hold an input
        yield Level.BLOCK, f"cannot judge {args.name}: internal error, {type(error).__name__}: report it"


def _of_verdict(code: str, args: ResourceValidationArgs) -> Iterator[Found]:
    """The BLOCK of one reason's code; what cannot be evaluated is refused."""
    verdict = verdict_on(args)
    if isinstance(verdict, Failure):
        yield Level.BLOCK, _failure(code, verdict)
        return
    for reason in verdict.reasons:
        if reason.code == code and reason.level is Level.BLOCK:
            yield Level.BLOCK, reason.line()


def _failure(code: str, failure: Failure) -> str:
    """Every rule refuses; the first tells all lines, the others only that there are some."""
    first = registry.rules()[0].code
    if code == first:
        return "\n".join(f"cannot evaluate: {line}" for line in failure.lines)
    more = f" (and {len(failure.lines) - 1} more, see {first})" if len(failure.lines) > 1 else ""
    return f"cannot evaluate: {failure.lines[0]}{more}"


class StackPolicy(sdk.StackValidationPolicy):
    """A mandatory rule on the whole stack."""

    def __init__(self, rule: StackRule) -> None:
        super().__init__(
            rule.code,
            rule.demand,
            self._report,
            sdk.EnforcementLevel.MANDATORY,
            severity=sdk.Severity(str(rule.severity)),
            remediation_steps=rule.remedy,
            url=rule.docs,
        )
        self.rule, self.looks_at, self.select = rule, rule.looks_at, rule.select
        self.waived: list[tuple[str, str]] = []
        """URN and what a waiver lifts there, as of the last time it was asked."""
        self.warned: list[tuple[str, str]] = []
        """URN and what it only warns of there, because the program is not ours."""

    def _report(self, args: StackValidationArgs, report: ReportViolation) -> None:
        self.waived, self.warned = [], []
        elsewhere = "holds" if program.is_ours else self.rule.elsewhere
        if elsewhere == "silent":
            return
        try:
            for urn, message in self.rule.check(args.resources):
                if elsewhere == "warns":
                    self.warned.append((urn, message))
                    continue
                level, words = settled(self.name, message, urn)
                if level is Level.BLOCK:
                    report(words, urn)
                else:
                    self.waived.append((urn, words))
        except UnknownValueError:  # noted in preview; in `up` everything is known
            raise
        except CannotJudge as error:
            report(f"cannot evaluate: {error}", None)
        except Exception as error:
            report(f"internal error, {type(error).__name__}: report it", None)


def policy_of(rule: Any) -> ResourcePolicy | StackPolicy:
    """The policy that enforces a rule."""
    if isinstance(rule, StackRule):
        return StackPolicy(rule)
    if isinstance(rule, ResourceRule):
        return ResourcePolicy(rule, rule.looks_at, rule.config)
    assert isinstance(rule, VerdictRule)
    return ResourcePolicy(rule, (names.FLEET,))
