"""What a plan makes besides its nodes is judged at its end, with the Fleet that was judged by its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy import PolicyResource, StackValidationArgs

from cost_guard.pack import standing
from cost_guard.pack.advisories import policies
from cost_guard.scenario.scenario import Scenario
from strict import names
from tests.support.rules import FLEET_URN, STACK, args, reports, resource

pytestmark = pytest.mark.usefixtures("pack")
Build = Callable[..., Scenario]
RULES = {policy.name: policy for policy in policies()}
NAT, VOLUME = "aws:ec2/natGateway:NatGateway", "aws:ebs/volume:Volume"
HUGE = {"size": 16384, "type": "gp3"}
"""16,384 × $0.08 = $1,310.72 a month."""


def made(kind: str, props: dict[str, Any], name: str = "it", chain: str = "") -> PolicyResource:
    return resource(props, kind, f"{STACK}{chain}{kind}::{name}", "us-east-1")


def ended(inputs: dict[str, Any], *resources: PolicyResource) -> list[tuple[str, str | None]]:
    """What the rule says after the Fleet was judged."""
    reports(RULES["break-even"], args(inputs))
    found: list[tuple[str, str | None]] = []
    RULES["whole-cost"].validate(  # type: ignore[attr-defined]
        StackValidationArgs(list(resources)), lambda text, urn=None: found.append((text, urn))
    )
    return found


def test_finding_14_what_else_the_program_makes_turns_the_verdict(ladder: Build) -> None:
    """Audit 14: two nodes at $7,920 and $4,100 are $19,940; 4.5 billion tokens at $5 are $22,500. Three disks of 16 TiB
    are $3,932.16, of which the scenario assumes $400: $23,472.16."""
    inputs = ladder(volume="4.5e9").to_inputs()
    volumes = [made(VOLUME, HUGE, name) for name in "abc"]
    assert ended(inputs, volumes[0]) == []
    ((text, urn), *_) = ended(inputs, *volumes)
    assert urn == FLEET_URN
    assert text.startswith("with 3 × disk of 16,384 GB gp3, $1,310.72 each: BLOCK break-even")


def test_what_the_inputs_list_already_does_not_count_twice(ladder: Build) -> None:
    """The root disks of our own nodes stand in the Fleet's inputs and in the plan."""
    listed = {"row": "aws/ebs/gp3", "what": "disk of 16384 GB gp3", "region": "us-east-1", "count": 1, "gb": 16384}
    inputs = {**ladder(volume="4.4e9").to_inputs(), "resources": [listed]}
    assert ended(inputs, made(VOLUME, HUGE)) == []
    assert ended(inputs, made(VOLUME, HUGE), made(VOLUME, HUGE, "b"), made(VOLUME, HUGE, "c")) != []


def test_a_verdict_that_blocks_anyhow_is_not_told_twice(ladder: Build) -> None:
    """The Fleet's own rules say it."""
    told = ended(ladder(volume="1e9").to_inputs(), *(made(VOLUME, HUGE, name) for name in "abc"))
    assert not any("BLOCK break-even" in text for text, _ in told)


def test_of_a_program_that_is_not_ours_it_warns(ladder: Build) -> None:
    """A stack of others makes much that is no part of its Fleet."""
    standing.program.is_ours = False
    volumes = [made(VOLUME, HUGE, name) for name in "abc"]
    assert ended(ladder(volume="4.5e9").to_inputs(), *volumes) == []
    assert any("BLOCK break-even" in text for text in reports(RULES["beside-nodes"], StackValidationArgs(volumes)))


def test_without_a_fleet_or_with_one_that_cannot_be_judged_it_is_silent() -> None:
    """Others refuse that."""
    assert ended({}, made(VOLUME, HUGE)) == []


def test_finding_14_a_gateways_machine_without_a_price_is_a_violation() -> None:
    """Audit 14: c7i.metal passed, as this project makes gateways; it has no list price here."""
    chain = f"{names.GATEWAY}${names.AWS_NODE}$"
    metal = made(names.AWS_INSTANCE, {"instanceType": "c7i.metal"}, chain=chain)
    (text,) = reports(RULES["type-allowed"], StackValidationArgs([metal]))
    assert "'aws/ec2/c7i.metal'" in text
    small = made(names.AWS_INSTANCE, {"instanceType": "c7i.large"}, chain=chain)
    assert reports(RULES["type-allowed"], StackValidationArgs([small])) == []
