"""What a stack makes besides nodes is in the cost that is judged: at list prices, once."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.scenario.proposal import Proposal, parse_proposal, proposal_of_inputs
from cost_guard.scenario.sections.beside import BilledResource
from cost_guard.verdict.judge import judge, judge_stack
from cost_guard.verdict.verdict import Verdict
from tests.support.catalogue import DAY, USD_PER_NODE, api, candidate, catalogue, document, price, served

CATALOGUE = catalogue(price("runpod/a", "10"), served("9000"), api("api", "5"))
NODES = {"a": [candidate("a", "x")], "b": [candidate("a", "y")]}
GP3_USD_PER_GB = Fraction(8, 100)
"""Of resources.toml: infracost's 40 GB are $3.20."""


def disks(gb: int, count: int = 1, region: str = "us-east-1") -> BilledResource:
    """Root disks."""
    what = f"disk of {gb} GB gp3"
    return BilledResource(row="aws/ebs/gp3", what=what, region=region, count=count, gb=Decimal(gb))


def proposed(*resources: BilledResource, **sections: Any) -> Proposal:
    """Two nodes at $7,300 a month."""
    return parse_proposal(document(NODES, **sections), None, resources=tuple(resources))


def judged(*resources: BilledResource, **sections: Any) -> Verdict:
    return judge(proposed(*resources, **sections), CATALOGUE, DAY)


def test_finding_14_root_disks_are_in_the_cost_that_is_judged_and_told_in_usd() -> None:
    """Audit 14: three root disks of 16 TiB are 3 × 16,384 × $0.08 = $3,932.16 a month. The $400 that the scenario
    assumes are a part of it, so the fixed cost grows by $3,532.16."""
    plain, huge = judged(), judged(disks(16384, 3))
    assert plain.fixed_usd_per_month == 2 * USD_PER_NODE + 4100
    assert huge.fixed_usd_per_month is not None
    assert plain.fixed_usd_per_month is not None
    listed = 3 * 16384 * GP3_USD_PER_GB
    assert Fraction(huge.fixed_usd_per_month - plain.fixed_usd_per_month) == listed - 400 == Fraction("3532.16")
    assert any("$3,932.16/month: 3 × disk of 16384 GB gp3" in note for note in huge.notes)
    assert huge.inputs["resourcesUsdPerMonth"].value == Decimal("3932.16")


def test_it_turns_a_verdict() -> None:
    """Two nodes and $4,100 are $18,700 a month; 4 billion tokens at $5 are $20,000. With $3,532.16 more it loses."""
    assert not judged(volume="4e9").blocked
    assert {r.code for r in judged(disks(16384, 3), volume="4e9").reasons if r.level is Level.BLOCK} >= {"break-even"}


@pytest.mark.parametrize("gb", [100, 5000, 5001])
def test_the_larger_of_what_is_listed_and_what_is_assumed_counts(gb: int) -> None:
    """Both speak of one bill: their sum would count it twice."""
    expected = 2 * Fraction(USD_PER_NODE) + 3700 + max(Fraction(400), gb * GP3_USD_PER_GB)
    assert Fraction(judged(disks(gb)).fixed_usd_per_month or 0) == expected


def test_the_correction_is_for_what_people_say_and_not_for_a_list() -> None:
    """understatedBy 0.5: $3,900 count twice, a disk of 20,000 GB is $1,600 and more than 2 × $400."""
    sections = {"overhead": {"understatedBy": 0.5}}
    base = 2 * Fraction(USD_PER_NODE) + 2 * 3700
    assert Fraction(judged(disks(20000), **sections).fixed_usd_per_month or 0) == base + 20000 * GP3_USD_PER_GB
    assert Fraction(judged(disks(5001), **sections).fixed_usd_per_month or 0) == base + 800


def test_of_several_models_they_count_once() -> None:
    """Each proposal has all of the stack's; the share of each adds up to 1."""
    one = proposed(disks(16384, 3))
    both = judge_stack({"one": one, "two": one}, CATALOGUE, DAY)
    assert Fraction(both.fixed_usd_per_month or 0) == 4 * Fraction(USD_PER_NODE) + 3700 + 3 * 16384 * GP3_USD_PER_GB


def test_audit_14_an_instance_without_a_price_is_told_and_its_region_too() -> None:
    """Audit 14: c7i.metal has no row. What another region costs is not known, and said."""
    metal = BilledResource(row="aws/c7i.metal", what="instance c7i.metal", region="us-east-1")
    (reason,) = [r for r in judged(metal).reasons if r.code == "price-known"]
    assert reason.level is Level.WARN
    assert "'aws/ec2/c7i.metal'" in reason.message
    abroad = BilledResource(row="aws/c7i.large", what="instance c7i.large", region="eu-west-1")
    assert any("instance c7i.large (price of us-east-1)" in note for note in judged(abroad).notes)
    assert Fraction(judged(abroad).fixed_usd_per_month or 0) == 2 * Fraction(USD_PER_NODE) + 4100


def test_they_travel_in_a_fleets_inputs() -> None:
    """The pack judges the same as the program."""
    given = proposed(disks(16384, 3), BilledResource(row="aws/c7i.large", what="instance c7i.large"))
    assert proposal_of_inputs(given.to_inputs()).resources == given.resources
    assert "resources" not in proposed().to_inputs()


def test_a_spot_machine_whose_loss_nobody_knows_warns_and_one_whose_loss_is_0_does_not() -> None:
    """It counts as 0, which is the kindest there is."""
    for loss, told in ((None, True), ("0", False), ("0.1", False)):
        more = {} if loss is None else {"interruptionLoss": loss}
        rows = catalogue(price("runpod/a", "10", terms="spot", **more), served("9000"), api("api", "5"))
        reasons = judge(proposed(), rows, DAY).reasons
        found = [r for r in reasons if r.code == "price-known" and "interrupted" in r.message]
        assert bool(found) is told
        assert all(r.level is Level.WARN for r in found)


def test_every_row_of_the_list_can_be_asked_for() -> None:
    """By its own key, or as an instance of its type."""
    assert {"aws/ebs/gp3", "aws/ec2/c7i.large", "aws/nat/gateway"} <= set(load_catalogue().resources)
