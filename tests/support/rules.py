"""Asking the pack's rules as the engine does: proxied properties, numbers as floats, URNs."""

from __future__ import annotations

import json
from typing import Any

from pulumi_policy import (
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    StackValidationArgs,
)
from pulumi_policy.policy import PolicyCustomTimeouts
from pulumi_policy.proxy import unknown_checking_proxy

STACK = "urn:pulumi:local::crossover::"
FLEET_TYPE = "crossover:index:Fleet"
FLEET_URN = f"{STACK}{FLEET_TYPE}::fleet"


def args(
    props: dict[str, Any],
    kind: str = FLEET_TYPE,
    urn: str | None = None,
    parent: str | None = None,
    config: dict[str, Any] | None = None,
) -> ResourceValidationArgs:
    """A resource's inputs."""
    known = urn or (FLEET_URN if kind == FLEET_TYPE else f"{STACK}{kind}::it")
    return ResourceValidationArgs(kind, _wired(props), known, known.split("::")[-1], _options(parent), None, config)


def resource(props: dict[str, Any], kind: str, urn: str, region: str | None = None) -> PolicyResource:
    """A resource's outputs, as a rule on the whole stack sees them; with `region`, its provider's."""
    provider = None if region is None else PolicyProviderResource("pulumi:providers:aws", {"region": region}, "", "")
    return PolicyResource(kind, _wired(props), urn, urn.split("::")[-1], _options(None), provider, None, [], {})


def reports(policy: Any, given: ResourceValidationArgs | StackValidationArgs) -> list[str]:
    """What a rule says of it."""
    found: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        found.append(message)

    assert policy.validate(given, report) is None
    return found


def _wired(props: dict[str, Any]) -> Any:
    return unknown_checking_proxy(json.loads(json.dumps(props), parse_int=float))


def _options(parent: str | None) -> PolicyResourceOptions:
    return PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [], parent)
