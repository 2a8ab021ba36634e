"""A rule on what the whole stack is: asked once, at the end of a preview or an update, about outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyResource,
    ReportViolation,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from cost_guard.pack.rule import DOCS, NODES, settle
from cost_guard.verdict.verdict import Level
from strict.places import Place

StackCheck = Callable[[list[PolicyResource]], Iterable[tuple[str, str]]]
"""The stack's resources → URN and complaint, a pair each."""


class StackRule(StackValidationPolicy):
    """A mandatory rule: it fails a preview, and an update that is made without one, when that has ended."""

    looks_at: tuple[str, ...]
    """Globs over resource types; it is shown no others."""
    select: Callable[[Any], bool]
    """Of these, which it is shown, by the engine's own message (AnalyzerResource): unpacking 200 bundles takes long."""
    key: Place
    """Of the configuration: what it speaks of, where a report points."""

    def __init__(
        self,
        code: str,
        severity: Severity,
        description: str,
        remediation: str,
        looks_at: tuple[str, ...],
        check: StackCheck,
        select: Callable[[Any], bool] = lambda resource: True,
        key: Place = NODES,
    ) -> None:
        super().__init__(
            code,
            description,
            self._report,
            EnforcementLevel.MANDATORY,
            severity=severity,
            remediation_steps=remediation,
            url=f"{DOCS}#{code}",
        )
        self.looks_at, self.select, self.key, self._check = looks_at, select, key, check
        self.waived: list[tuple[str, str]] = []
        """URN and what a waiver lifts there, as of the last time it was asked."""

    def _report(self, args: StackValidationArgs, report: ReportViolation) -> None:
        self.waived = []
        try:
            for urn, message in self._check(args.resources):
                finding = settle(self.name, message, urn)
                if finding.level is Level.BLOCK:
                    report(finding.message, urn)
                else:
                    self.waived.append((urn, finding.message))
        except UnknownValueError:  # noted in preview; in `up` everything is known
            raise
        except Exception as error:
            report(f"internal error, {type(error).__name__}: report it", None)
