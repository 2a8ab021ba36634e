"""A pull request does not approve its own growth: the baseline that stands before it counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cost_guard.pack.registry import codes
from cost_guard.scenario.scenario import Baseline
from cost_guard.scenario.waiver_file import parse_waivers
from scripts.crossover.review import rules
from scripts.crossover.review.formats import junit, report, sarif
from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.preview.events import PACK, PolicyViolation, Run
from scripts.crossover.review.review import Review, ReviewOutcome
from scripts.crossover.review.rules import OWN_BASELINE
from scripts.crossover.stack.approval import Approved
from tests.unit.crossover.review.conftest import Project, config

Reviewed = Callable[..., Review]


def approved(nodes: int, usd_per_month: int, since: str = "2026-02-01") -> dict[str, Any]:
    return {"nodes": nodes, "usdPerMonth": usd_per_month, "approvedBy": "a. person", "date": since}


TWO, FOUR = approved(2, 19_940), approved(4, 35_780)
"""2 and 4 nodes of $7,920 with $4,100 of overhead."""
TOLD = (
    "this pull request raises its own baseline from 2 nodes, $19,940/month to 4 nodes, $35,780/month, approved by "
    "a. person. The one at HEAD counts here: growth is judged in full. Make it pay, or have it waived "
    "(docs/reference/waivers.md); the new baseline counts from the next change on."
)


def waived() -> Any:
    entries = [
        {
            "policy": policy, "stack": "prod", "owner": "ada", "approver": "grace", "reason": "for the migration",
            "ticket": "FIN-1", "created": "2026-04-01", "expires": "2026-06-01",
        }
        for policy in ("break-even", "horizon", "probability")
    ]  # fmt: skip
    return parse_waivers(yaml.safe_dump(entries), codes())


def raised(review: Review) -> list[str]:
    return [finding.message for finding in review.findings if finding.rule == OWN_BASELINE]


@pytest.mark.parametrize("before", [TWO, None, approved(4, 35_779), approved(3, 35_780)])
def test_growth_below_break_even_is_not_approved_by_the_change_that_brings_it(
    reviewed: Reviewed, before: dict[str, Any] | None
) -> None:
    """2 -> 4 nodes for 6B tokens, with more nodes approved, more dollars, or anything where nothing was."""
    review = reviewed(config(4, baseline=FOUR), config(2, baseline=before))
    assert (review.outcome, review.exit_code(False)) == (ReviewOutcome.BLOCK, 2)
    assert len(raised(review)) == 1


def test_a_new_stack_has_no_baseline_there(project: Project) -> None:
    project.commit()
    project.write(config(4, baseline=FOUR))
    before = project.approved("HEAD")
    assert before == Approved("HEAD", None)
    assert project.side(before=before).verdict.blocked  # type: ignore[union-attr]


def test_every_report_says_from_what_to_what_and_what_to_do(reviewed: Reviewed) -> None:
    review = reviewed(config(4, baseline=FOUR), config(2, baseline=TWO))
    assert raised(review) == [TOLD]
    assert "> 👀 **It does not approve itself:** this pull request raises its own baseline from 2 nodes" in render(
        review
    )
    found = report.document(review, strict=False)
    assert (found["verdict"], found["exitCode"]) == ("BLOCK", 2)
    [line] = [finding["line"] for finding in found["findings"] if finding["rule"] == OWN_BASELINE]
    assert line > 1
    results = sarif.document(review, rules.known())["runs"][0]["results"]
    assert [one["level"] for one in results if one["ruleId"] == OWN_BASELINE] == ["warning"]
    assert TOLD in json.dumps(results)
    cases = {case.get("name"): case for case in ElementTree.fromstring(junit.render(review, rules.known()))}
    assert cases[OWN_BASELINE].findtext("system-out") == f"WARN {TOLD}"
    assert cases["break-even"].find("failure") is not None


def test_what_would_let_it_through_is_asked_with_the_same_baseline(reviewed: Reviewed) -> None:
    """At $1 a million nothing pays: two nodes pass as the repair that stands, and four would by the own one."""
    cheap = {"managed": {"usdPerMillionTokens": 1}}
    review = reviewed(config(4, baseline=FOUR, **cheap), config(2, baseline=TWO, **cheap))
    nodes = [flip for flip in review.flips if flip.input == "nodes"]
    assert [(int(flip.now), int(flip.at), str(flip.level)) for flip in nodes] == [(4, 2, "WARN")]


def test_a_waiver_lets_it_through(reviewed: Reviewed) -> None:
    """Somebody else approves it, and the reviewer is told of both."""
    review = reviewed(config(4, baseline=FOUR), config(2, baseline=TWO), waivers=waived())
    assert (review.outcome, review.exit_code(False)) == (ReviewOutcome.WARN, 0)
    assert raised(review) == [TOLD]
    assert "waived" in render(review)


def test_it_counts_from_the_next_change_on(reviewed: Reviewed) -> None:
    review = reviewed(config(4, baseline=FOUR), config(2, baseline=FOUR))
    assert (review.outcome, raised(review)) == (ReviewOutcome.WARN, [])


@pytest.mark.parametrize("own", [TWO, None])
def test_one_that_is_lowered_or_removed_counts_as_it_is(reviewed: Reviewed, own: dict[str, Any] | None) -> None:
    """Four nodes were approved, and are not any more."""
    review = reviewed(config(4, baseline=own), config(4, baseline=FOUR))
    assert (review.outcome, raised(review)) == (ReviewOutcome.BLOCK, [])
    scaled_in = reviewed(config(2, volume=500e6, baseline=own), config(4, baseline=FOUR))
    assert scaled_in.outcome is (ReviewOutcome.WARN if own else ReviewOutcome.BLOCK)


def test_growth_that_pays_passes_and_the_raise_is_told(reviewed: Reviewed) -> None:
    """4 x 7,920 + 4,100 = 35,780 for tokens that cost 12,000 x $5 = 60,000 managed."""
    review = reviewed(config(4, volume=12e9, baseline=FOUR), config(2, baseline=TWO))
    assert (review.outcome, raised(review)) == (ReviewOutcome.WARN, [TOLD])


@pytest.mark.parametrize(
    ("own", "outcome"),
    [
        (approved(2, 19_940), ReviewOutcome.WARN),
        (approved(2, 20_139), ReviewOutcome.WARN),
        (approved(2, 20_140), ReviewOutcome.BLOCK),
        (approved(3, 19_940), ReviewOutcome.BLOCK),
    ],
)
def test_nothing_is_approved_that_the_change_does_not_deploy(
    reviewed: Reviewed, own: dict[str, Any], outcome: ReviewOutcome
) -> None:
    """Else one change would approve sixty nodes, which buys nothing and pays, and the next would make them as a repair.
    1 % more than 19,940 is 20,139.40."""
    review = reviewed(config(2, baseline=own), config(2))
    assert review.outcome is outcome
    assert ("It is more than the 2 nodes, $19,940/month" in raised(review)[0]) is (outcome is ReviewOutcome.BLOCK)


def test_a_later_day_makes_no_fleet_younger(reviewed: Reviewed) -> None:
    """Else a fleet that runs for over 30 days could grow by an asserted volume for ever."""
    work = {"tokensPerMonth": 12e9, "kind": "asserted", "peakToMean": 1.3}
    rung = {"cloud": "quoted", "sku": "lambda-8x-a100-80gb"}
    fleet = {"nodes": {key: {"candidates": [{**rung, "region": key}]} for key in "abc"}}
    later = approved(2, 19_940, "2026-04-19")
    review = reviewed(config(workload=work, fleet=fleet, baseline=later), config(workload=work, baseline=TWO))
    assert [finding.rule for finding in review.findings if finding.level == "BLOCK"] == ["volume-measured"]


def test_a_base_of_which_the_rest_is_broken_still_has_its_baseline(reviewed: Reviewed) -> None:
    """And one whose baseline cannot be read has none, which is told."""
    broken = config(4, managed={}, baseline=FOUR)
    assert reviewed(config(4, baseline=FOUR), broken).outcome is ReviewOutcome.WARN
    unread = config(4, baseline={**FOUR, "nodes": "many"})
    for base in (unread, "config: ["):
        review = reviewed(config(4, baseline=FOUR), base)
        assert review.outcome is ReviewOutcome.BLOCK
        assert "There is none that can be read at HEAD, so none counts here" in raised(review)[0]


def test_without_a_base_the_configuration_counts_as_it_is(reviewed: Reviewed) -> None:
    """As in `up`."""
    review = reviewed(config(4, baseline=FOUR))
    assert (review.outcome, raised(review)) == (ReviewOutcome.WARN, [])


def test_the_worse_of_gate_and_program_counts(reviewed: Reviewed) -> None:
    """The program runs with the configuration as committed: it warns where this gate blocks, and may block where an own
    baseline is of an earlier day."""
    advisory = PolicyViolation("cost-advisories", PACK, "advisory", "fleet", "WARN break-even: …")
    review = reviewed(config(4, baseline=FOUR), config(2, baseline=TWO), run=Run(violations=(advisory,)))
    assert review.outcome is ReviewOutcome.BLOCK
    mandatory = PolicyViolation("volume-measured", PACK, "mandatory", "fleet", "the volume is asserted …")
    review = reviewed(config(2, baseline=TWO), config(2, baseline=TWO), run=Run(violations=(mandatory,)))
    assert review.outcome is ReviewOutcome.BLOCK


baselines = st.builds(
    lambda nodes, usd, day: Baseline.model_validate(approved(nodes, usd, f"2026-01-{day:02}")),
    st.integers(1, 9), st.integers(0, 99_999), st.integers(1, 31),
)  # fmt: skip


@given(own=st.none() | baselines, before=st.none() | baselines)
def test_what_counts_never_allows_more_than_either(own: Baseline | None, before: Baseline | None) -> None:
    counted = Approved("main", before).counted(own)
    if own is None or before is None:
        assert counted == before
        return
    assert counted is not None
    assert counted.nodes <= before.nodes
    assert counted.usd_per_month <= before.usd_per_month
    assert counted.date <= before.date
    assert counted == before or (counted.nodes, counted.usd_per_month) == (own.nodes, own.usd_per_month)
