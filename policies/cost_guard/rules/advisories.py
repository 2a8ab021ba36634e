"""What does not block, shown all the same: one advisory rule, because a rule has one enforcement level."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, ReportViolation, ResourceValidationArgs, ResourceValidationPolicy

from cost_guard import Level

from .gate import FLEET_TYPE, Failure, judge


def _validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type != FLEET_TYPE:
        return
    verdict = judge(args)
    if isinstance(verdict, Failure):  # The mandatory rules refuse it.
        return
    lines = [reason.line() for reason in verdict.reasons if reason.level is not Level.BLOCK]
    if lines or verdict.notes:
        report("\n".join([*lines, *verdict.notes]), None)


POLICY = ResourceValidationPolicy(
    name="advisories",
    description="What a reader should know about the cost gate's verdict.",
    validate=_validate,
    enforcement_level=EnforcementLevel.ADVISORY,
)
