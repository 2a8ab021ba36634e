"""What does not block, shown all the same, each by an advisory rule, because a rule has one enforcement level."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from cost_guard import wording
from cost_guard.codes import ADVISORY, BESIDE, DOCS, WAIVERS, Level
from cost_guard.pack import registry, standing
from cost_guard.pack.fleet import verdict_on
from cost_guard.pack.policies import ResourcePolicy, StackPolicy, policy_of
from cost_guard.pack.rule import Failure
from cost_guard.scenario.waiver_file import WaiverError
from cost_guard.scenario.waivers import unused_words
from strict import names
from strict.toml import CatalogueError

if TYPE_CHECKING:  # to start faster
    from cost_guard.pack.priced import PricedResources


def _advisory(code: str, description: str, remedy: str) -> dict[str, Any]:
    """What is said of each of them to the SDK's class, but for what it shows."""
    return {
        "name": code,
        "description": description,
        "enforcement_level": EnforcementLevel.ADVISORY,
        "severity": Severity.LOW,
        "remediation_steps": remedy,
        "url": f"{DOCS}#{code}",
    }


class Advisories(ResourceValidationPolicy):
    """Shows the verdict's warnings and notes, and every violation of a resource that a waiver lifts."""

    def __init__(self, rules: Sequence[ResourcePolicy]) -> None:
        super().__init__(
            **_advisory(
                ADVISORY,
                "What a reader should know about the cost gate's verdict, and what is waived.",
                "Nothing must be done; a waived violation must be mended before the waiver expires.",
            ),
            validate=self._show,
        )
        self._rules = rules
        self.looks_at = tuple(dict.fromkeys(glob for rule in rules for glob in rule.looks_at))

    def _show(self, args: ResourceValidationArgs, report: ReportViolation) -> None:
        lines = _verdict(args) if args.resource_type == names.FLEET else []
        lines += [
            f"{Level.WAIVED} {rule.name}: {text}" for rule in self._rules for text in rule.waived.pop(args.urn, [])
        ]
        if lines:
            report("\n".join(lines), None)


def _verdict(args: ResourceValidationArgs) -> list[str]:
    verdict = verdict_on(args)
    if isinstance(verdict, Failure):  # The mandatory rules refuse it.
        return []
    return [*(reason.line() for reason in verdict.reasons if reason.level is not Level.BLOCK), *verdict.notes]


class WaiversShown(StackValidationPolicy):
    """Shows the violations of the whole stack that a waiver lifts, and the waivers that nothing needs.

    Those of the verdict's codes are told beside the verdict: see `verdict.bending.waived`.
    """

    def __init__(self, rules: Sequence[StackPolicy]) -> None:
        super().__init__(
            **_advisory(
                WAIVERS,
                "Waivers that lift something of the whole stack, and those that nothing needs.",
                "Remove a waiver that is not used.",
            ),
            validate=self._show,
        )
        self._rules = rules
        self.looks_at = (names.STACK,)

    def _show(self, args: StackValidationArgs, report: ReportViolation) -> None:
        for rule in self._rules:
            for urn, text in rule.waived:
                report(f"{Level.WAIVED} {rule.name}: {text}", urn)
        day, waivers = standing.standing_day(), standing.standing_waivers()
        if day is None or isinstance(waivers, WaiverError) or not args.resources:
            return
        for waiver in waivers.unused(names.stack_of(args.resources[0].urn), day, standing.seen):
            if waiver.policy not in registry.codes().of_verdict:
                report(unused_words(waiver), None)


class BesideNodes(StackValidationPolicy):
    """Shows what the plan makes beside its nodes and has a price, against what the scenario assumes for it; and what
    rules on the whole stack only warn of in a program that is not ours."""

    def __init__(self, rules: Sequence[StackPolicy]) -> None:
        super().__init__(
            **_advisory(
                BESIDE,
                "What disks, gateways, load balancers and other resources beside the nodes cost a month.",
                "Raise overhead.storageNetworkUsdPerMonth to it, so that every report says so.",
            ),
            validate=self._show,
        )
        self._rules = rules
        self.looks_at = ("*",)
        self.select = _has_a_price

    def _show(self, args: StackValidationArgs, report: ReportViolation) -> None:
        from cost_guard.pack.priced import priced_resources_usd_per_month  # when a plan ends, to start faster

        for rule in self._rules:
            for urn, text in rule.warned:
                report(f"{Level.WARN} {rule.name}: {text}", urn)
        with suppress(CatalogueError):  # a mandatory rule refuses it
            found = priced_resources_usd_per_month(args.resources)
            fleets = standing.program.fleets
            if found.lines:
                # of several Fleets, the most that one assumes: they share these resources
                assumed = (one.scenario.overhead.storage_network_usd_per_month for one in fleets.values())
                report(_beside(found, max(assumed, default=None)), next(iter(fleets), None))


def _has_a_price(resource: Any) -> bool:
    """Of the engine's own message."""
    from cost_guard.pack.priced import has_a_price  # when a plan ends, to start faster

    with suppress(CatalogueError):  # a mandatory rule refuses it
        return has_a_price(resource)
    return False


def _beside(found: PricedResources, assumed_usd_per_month: Decimal | None) -> str:
    """A line; one that begins with WARN where they cost more than is assumed."""
    usd = wording.to_decimal(found.usd_per_month)
    cost = f"beside the nodes are {wording.usd(usd)}/month: {'; '.join(found.lines)}"
    if found.unpriced:
        cost += f"; {wording.count(len(found.unpriced), 'more resource')} of unknown price"
    if assumed_usd_per_month is None:
        return cost
    said = f"{cost}. The scenario assumes {wording.usd(assumed_usd_per_month)} for storage and network"
    if usd <= assumed_usd_per_month:
        return said
    return f"{Level.WARN} {BESIDE}: {said}: what they cost is judged in its place (whole-cost)"


def policies() -> list[Policy]:
    """All policies of the pack, in the order of the registry; those that show what the others found and do not block
    come last."""
    mandatory = [policy_of(rule) for rule in registry.rules()]
    return [
        *mandatory,
        Advisories([policy for policy in mandatory if isinstance(policy, ResourcePolicy)]),
        WaiversShown([policy for policy in mandatory if isinstance(policy, StackPolicy)]),
        BesideNodes([policy for policy in mandatory if isinstance(policy, StackPolicy)]),
    ]
