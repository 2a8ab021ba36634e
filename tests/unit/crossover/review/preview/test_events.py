"""A violation is told from a failure by the engine's events. The events are synthetic, in the form of 3.259's."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from cost_guard.verdict.verdict import REFUSAL, explain
from scripts.crossover.review.preview.engine import mandatory_rules, weakened_by
from scripts.crossover.review.preview.events import Change, Mandatory, read
from tests.unit.crossover.review.conftest import Project, config

FLEET = "urn:pulumi:prod::crossover::crossover:index:Fleet::fleet"
RULES = Mandatory(frozenset({"break-even", "capacity"}), frozenset({"whole-stack"}))


def policy(rule: str, level: str, message: str = "no") -> dict[str, Any]:
    described = f"What {rule} demands.\n{message}\n"
    return {
        "policyEvent": {
            "resourceUrn": FLEET,
            "message": described,
            "policyName": rule,
            "policyPackName": "cost-guard",
            "enforcementLevel": level,
        }
    }


def asked(passed: list[str], failed: list[str] | None = None, urn: str = FLEET) -> dict[str, Any]:
    summary = {"resourceUrn": urn, "policyPackName": "cost-guard", "passed": passed}
    return {"policyAnalyzeSummaryEvent": summary | ({"failed": failed} if failed else {})}


def ended(result: str = "succeeded") -> dict[str, Any]:
    return {"summaryEvent": {"result": result}}


def error(message: str) -> dict[str, Any]:
    return {"diagnosticEvent": {"severity": "error", "message": message}}


def step(op: str, name: str = "a", diffs: list[str] | None = None, kind: str = "gpucloud:index:Node") -> dict[str, Any]:
    urn = f"urn:pulumi:prod::crossover::crossover:index:Fleet${kind}::{name}"
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": urn, "type": kind, "diffs": diffs}}}


STACK = {"policyAnalyzeStackSummaryEvent": {"policyPackName": "cost-guard", "passed": ["whole-stack"]}}
FINE = [asked(["break-even", "capacity"]), STACK, ended()]
EXITED = error("an unhandled error occurred: Program exited with non-zero exit code: 1\n")


def understood(*events: dict[str, Any], exit_code: int = 0, **more: Any) -> Any:
    return read([json.dumps(event) + "\n" for event in events], RULES, exit_code=exit_code, **more)


def test_a_preview_that_passes_has_nothing_to_say() -> None:
    run = understood(*FINE)
    assert (run.violations, run.weakened, run.failures) == ((), (), ())


def test_types_that_the_stack_has_none_of_are_named() -> None:
    """Not what is there in any state, nor what this project makes, nor the engine's own."""
    made = [step("create", kind=kind) for kind in ("b:c:D", "a:b:C", "b:c:D", "pulumi:providers:b", "aws:ec2/vpc:Vpc")]
    there = [step("same", kind="random:index:Id"), step("create", kind="random:index:Id"), step("create")]
    assert understood(*made, *there, *FINE).new_types == ("a:b:C", "b:c:D")


def test_a_violation_and_the_programs_own_refusal_are_no_failure() -> None:
    """The engine exits 1 on both."""
    events = [policy("break-even", "mandatory", "BLOCK break-even: too little"), asked(["capacity"], ["break-even"])]
    run = understood(*events, error(f"{REFUSAL}\n  BLOCK break-even: too little"), EXITED, ended("failed"), exit_code=1)
    assert run.failures == ()
    assert [(v.rule, v.level, v.name, v.message) for v in run.violations] == [
        ("break-even", "mandatory", "fleet", "BLOCK break-even: too little")
    ]


def test_the_refusal_begins_as_the_gate_writes_it(project: Project) -> None:
    """Or every blocked preview would be called a failure."""
    project.write(config(volume=5e8))
    verdict = project.side().verdict
    assert verdict is not None
    assert explain(verdict).startswith(REFUSAL)


def test_a_program_that_fails_is_a_failure_and_no_violation() -> None:
    run = understood(error("Traceback\nValueError: boom\n"), EXITED, ended("failed"), exit_code=1)
    assert run.failures == ("Traceback\nValueError: boom",)
    assert run.violations == ()
    assert run.weakened == ()  # the pack was never shown the fleet


def test_a_program_that_fails_beside_a_violation_is_both() -> None:
    run = understood(policy("break-even", "mandatory"), error("boom"), EXITED, ended("failed"), exit_code=1)
    assert (len(run.violations), run.failures) == (1, ("boom",))


@pytest.mark.parametrize(
    ("others", "failures"),
    [
        ([policy("break-even", "mandatory")], ()),
        ([error("boom")], ("boom",)),
        ([policy("break-even", "mandatory"), error("preview failed: boom")], ("preview failed: boom",)),
        ([policy("break-even", "advisory")], ("preview failed",)),
        ([error(REFUSAL), EXITED], ("preview failed",)),
        ([], ("preview failed",)),
    ],
    ids=["violation", "error", "both", "advisory", "refusal", "nothing"],
)
def test_a_failed_preview_is_a_failure_of_its_own_where_nothing_explains_it(
    others: list[dict[str, Any]], failures: tuple[str, ...]
) -> None:
    """A mandatory rule of the pack does, and an error; the program's refusal does not: it ends the program."""
    run = understood(*others, error("preview failed\n"), ended("failed"), exit_code=1)
    assert run.failures == failures


@pytest.mark.parametrize(
    ("lines", "said", "told"),
    [
        ([], "error: no stack named 'prod' found\n", "error: no stack named 'prod' found"),
        (["{\n", '  "steps": [\n'], "", '"steps"'),
        ([], "", "exited with 255 and no reason"),
        (["[1]\n", "3\n"], "", "[1]"),
    ],
    ids=["no stack", "another format", "silence", "no events"],
)
def test_an_engine_without_events_is_a_failure_with_its_words(lines: list[str], said: str, told: str) -> None:
    run = read(lines, RULES, exit_code=255, said=said)
    assert told in run.failures[0]


def test_an_engine_that_succeeds_without_asking_the_pack_had_no_rule_in_force() -> None:
    run = understood(ended())
    assert dict(run.weakened) == dict.fromkeys(("break-even", "capacity", "whole-stack"), "disabled")


def test_a_disabled_rule_is_named() -> None:
    """It is neither passed nor failed where the Fleet was judged; that another resource passed it counts nothing."""
    elsewhere = asked(["break-even", "capacity"], urn="urn:pulumi:prod::crossover::pulumi:pulumi:Stack::s")
    assert understood(elsewhere, asked(["capacity"]), STACK, ended()).weakened == (("break-even", "disabled"),)


def test_a_downgraded_rule_is_named_although_it_speaks() -> None:
    run = understood(policy("break-even", "advisory"), asked(["capacity"], ["break-even"]), STACK, ended())
    assert run.weakened == (("break-even", "downgraded to advisory"),)


def test_a_rule_that_waits_for_up_is_noted_and_not_called_weakened() -> None:
    """pulumi-policy reports it as an advisory violation of the rule's own."""
    note = policy("whole-stack", "advisory")
    why = "string value at .machine can't be known during preview"
    note["policyEvent"]["message"] = (
        f"can't run policy 'whole-stack' from policy pack 'cost-guard@v0.0.1' during preview: {why}\n"
    )
    whole = {"policyAnalyzeStackSummaryEvent": {"policyPackName": "cost-guard", "failed": ["whole-stack"]}}
    run = understood(asked(["break-even", "capacity"]), note, whole, ended())
    assert (run.weakened, run.violations, run.deferred) == ((), (), (("whole-stack", why),))


def test_a_rule_on_the_whole_stack_is_expected_only_at_the_end() -> None:
    """A preview that is refused never comes to it."""
    assert understood(asked(["break-even", "capacity"]), ended()).weakened == (("whole-stack", "disabled"),)
    refused = understood(asked(["break-even", "capacity"]), error(REFUSAL), EXITED, ended("failed"), exit_code=1)
    assert refused.weakened == ()


def test_changes_tell_names_and_keys_and_a_replacement_once() -> None:
    run = understood(
        step("same"), step("read"), step("create", "b"), step("update", "c", ["candidates"]),
        step("create-replacement", "d"), step("replace", "d"), step("delete-replaced", "d"), *FINE,
    )  # fmt: skip
    node = "gpucloud:index:Node"
    assert run.changes == (
        Change("create", node, "b"),
        Change("update", node, "c", ("candidates",)),
        Change("replace", node, "d"),
    )


def test_one_preview_reads_alike_in_whatever_order_the_engine_tells_it() -> None:
    """It works on many resources at once: else an updated comment would change where nothing did."""
    later = "can't run policy 'capacity' during preview: "
    events = [
        *(step("create", name) for name in "dbca"),
        step("update", "e", ["sku", "bundle"]),
        *(policy(rule, "mandatory", told) for rule in ("capacity", "break-even") for told in ("two", "one")),
        *(policy("capacity", "advisory", f"{later}{why}") for why in ("x", "y")),
        *(error(text) for text in ("second", "first")),
        *FINE,
    ]
    told = [understood(*(random.Random(seed).sample(events, len(events)))) for seed in range(20)]
    assert told == [told[0]] * 20
    assert [change.name for change in told[0].changes] == ["a", "b", "c", "d", "e"]
    assert told[0].changes[-1].keys == ("bundle", "sku")


def test_the_keys_of_a_component_are_told_although_no_provider_compares_them() -> None:
    """By name alone: a value may be secret."""
    update = step("update", "fleet")
    update["resourcePreEvent"]["metadata"] |= {
        "old": {"inputs": {"managed": {"price": 5}, "horizon": 24, "usage": "private"}},
        "new": {"inputs": {"managed": {"price": 3}, "horizon": 24, "baseline": "private"}},
    }
    (change,) = understood(update, *FINE).changes
    assert change.keys == ("baseline", "managed", "usage")


def test_secrets_are_taken_out_of_messages() -> None:
    def clean(text: str) -> str:
        return text.replace("hunter2", "[secret]")

    events = [policy("capacity", "mandatory", "key hunter2"), error("login hunter2"), ended("failed")]
    run = understood(*events, exit_code=1, clean=clean)
    assert (run.violations[0].message, run.failures) == ("key [secret]", ("login [secret]",))
    assert understood(exit_code=1, said="at hunter2", clean=clean).failures == ("at [secret]",)


def test_the_packs_own_rules_are_the_mandatory_ones() -> None:
    """Every reason's rule, and node-outside-fleet; the advisories are none."""
    rules = mandatory_rules()
    assert {"break-even", "capacity", "redundancy", "price-known", "node-outside-fleet"} <= rules.resource
    assert "advisories" not in rules.resource | rules.stack


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"all": "advisory"}, {"break-even": "downgraded to advisory", "capacity": "downgraded to advisory"}),
        ({"all": "disabled", "capacity": "mandatory"}, {"break-even": "disabled"}),
        ({"capacity": {"enforcementLevel": "advisory", "x": 1}}, {"capacity": "downgraded to advisory"}),
        ({"capacity": {"share": 1}}, {}),
        ([], {}),
    ],
)
def test_a_pack_configuration_that_weakens_a_rule_is_seen_though_the_rule_passes(
    given: Any, expected: dict[str, str]
) -> None:
    assert weakened_by(json.dumps(given), Mandatory(RULES.resource)) == expected
    assert weakened_by("{", RULES) == {}
