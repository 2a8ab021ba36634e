"""The three documents for programs: complete, of their formats' shapes, and without a secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from scripts.crossover.review import rules
from scripts.crossover.review.formats import junit, report, sarif
from scripts.crossover.review.preview.events import PolicyViolation, Run
from scripts.crossover.review.review import Review
from tests.unit.crossover.review.conftest import config
from tests.unit.crossover.review.formats.test_comment import waiver, waivers

Reviewed = Callable[..., Review]
PATH = "stacks/config/Pulumi.prod.yaml"

RELATIVE_URI = r"^(?!\.\.)[\w.~%!$&'()*+,;=@-]+(/[\w.~%!$&'()*+,;=@-]+)*$"
"""RFC 3986: characters of a path's segments, with no scheme and no root before them."""
SARIF_SHAPE: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "uniqueItems": True,
                                        "items": {
                                            "required": ["id", "shortDescription", "fullDescription", "help"],
                                            "properties": {
                                                "shortDescription": {"$ref": "#/$defs/text"},
                                                "fullDescription": {"$ref": "#/$defs/text"},
                                                "help": {"$ref": "#/$defs/text"},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"items": {"$ref": "#/$defs/result"}},
                },
            },
        },
    },
    "$defs": {
        "text": {"required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
        "result": {
            "required": ["message", "ruleId", "level", "locations", "partialFingerprints"],
            "properties": {
                "message": {"$ref": "#/$defs/text"},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "locations": {
                    "minItems": 1,
                    "items": {
                        "required": ["physicalLocation"],
                        "properties": {
                            "physicalLocation": {
                                "required": ["artifactLocation"],
                                "properties": {
                                    "artifactLocation": {
                                        "required": ["uri"],
                                        "properties": {"uri": {"pattern": RELATIVE_URI}},
                                    },
                                    "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
                                },
                            }
                        },
                    },
                },
                "partialFingerprints": {
                    "required": ["primaryLocationLineHash"],
                    "additionalProperties": {"type": "string"},
                },
                "suppressions": {
                    "items": {
                        "required": ["kind"],
                        "properties": {
                            "kind": {"enum": ["inSource", "external"]},
                            "status": {"enum": ["accepted", "underReview", "rejected"]},
                            "justification": {"type": "string"},
                        },
                    }
                },
            },
        },
    },
}
"""What SARIF 2.1.0 (OASIS, 3.13 to 3.35) demands of the properties that we write, and GitHub's code scanning besides:
a text, a place and a fingerprint for each result, three texts for each rule."""


@pytest.fixture
def blocked(reviewed: Reviewed) -> Review:
    """A doubled fleet, a rule that was not in force, a node outside the fleet, and one waiver."""
    urn = "urn:pulumi:prod::crossover::gpucloud:index:Node::b"
    run = Run(
        violations=(PolicyViolation("node-outside-fleet", "cost-guard", "mandatory", urn, "outside"),),
        weakened=(("budget", "disabled"),),
    )
    return reviewed(config(4), config(2), run=run, waivers=waivers(waiver("probability")))


def test_sarif_has_its_shape_and_stable_ids(blocked: Review) -> None:
    document = sarif.document(blocked, rules.known())
    jsonschema.validate(document, SARIF_SHAPE)
    (run,) = document["runs"]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert {"break-even", "probability", "capacity", "node-outside-fleet", "rule-in-force", "configuration"} <= set(ids)
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("break-even", "error"), ("horizon", "error"), ("rule-in-force", "error"), ("node-outside-fleet", "error"),
        ("probability", "error"),
    ]  # fmt: skip


def test_sarif_points_at_the_line_of_the_key(blocked: Review) -> None:
    """break-even at the volume, a node's violation at the node."""
    assert blocked.head.config is not None
    (run,) = sarif.document(blocked, rules.known())["runs"]
    places = {r["ruleId"]: r["locations"][0]["physicalLocation"] for r in run["results"]}
    assert places["break-even"]["artifactLocation"]["uri"] == PATH
    assert places["break-even"]["region"]["startLine"] == blocked.head.config.lines.at(("workload", "tokensPerMonth"))
    assert places["node-outside-fleet"]["region"]["startLine"] == blocked.head.config.lines.known["fleet", "nodes", "b"]


STAND_IN = {"standIn": True, "managed": [{"name": "m", "model": "openai/m"}]}


@pytest.mark.parametrize(
    ("violated", "sections", "place"),
    [
        ("fallback-configured", {"gateway": {**STAND_IN, "fallback": "m"}}, ("gateway", "fallback")),
        ("fallback-configured", {"gateway": STAND_IN}, ("gateway",)),
        ("ingress-closed", {"clouds": {"lambda": {}}}, ("clouds",)),
        ("monitoring-wired", {}, ("fleet", "nodes")),
        ("budget", {"constraints": {"budgetUsdPerMonth": 50_000}}, ("constraints", "budgetUsdPerMonth")),
    ],
)
@pytest.mark.parametrize("waived", [False, True], ids=["violated", "waived"])
def test_a_rule_of_the_pack_points_at_what_it_speaks_of(
    reviewed: Reviewed, violated: str, sections: dict[str, Any], place: tuple[str, ...], waived: bool
) -> None:
    """Or at the nearest key around it."""
    urn = "urn:pulumi:prod::crossover::crossover:index:Gateway::gateway"
    told = PolicyViolation(violated, "cost-guard", "mandatory", urn, "no")
    lifted = PolicyViolation("advisories", "cost-guard", "advisory", urn, f"WAIVED {violated}: no")
    review = reviewed(config(2, **sections), run=Run(violations=(lifted if waived else told,)))
    assert review.head.config is not None
    (line,) = [finding.line for finding in review.findings if finding.rule == violated]
    assert line == review.head.config.lines.known[place]


def test_a_route_without_a_price_is_found_at_the_routes(reviewed: Reviewed) -> None:
    """And not at the nodes, whose price is known."""
    review = reviewed(config(2, managed={"routes": [{"model": "no-such-model", "share": 1}]}))
    assert review.head.config is not None
    (line,) = [finding.line for finding in review.findings if finding.rule == "price-known"]
    assert line == review.head.config.lines.known["managed", "routes"]


def test_a_waived_finding_is_suppressed_with_its_reason(blocked: Review) -> None:
    (run,) = sarif.document(blocked, rules.known())["runs"]
    suppressed = {r["ruleId"]: r["suppressions"] for r in run["results"] if "suppressions" in r}
    assert list(suppressed) == ["probability"]
    assert suppressed["probability"][0]["justification"].startswith("for the migration (FIN-1); ada mends it")


def test_the_waiver_that_counts_is_the_justification(reviewed: Reviewed) -> None:
    """Of two for a rule, in the file's order, the first one is void."""
    entries = [
        waiver(),
        waiver("horizon"),
        waiver("probability", costCapUsdPerMonth=20000),
        waiver("probability", reason="the second"),
    ]
    review = reviewed(config(4), waivers=waivers(*entries))
    (run,) = sarif.document(review, rules.known())["runs"]
    jsonschema.validate(run["results"], {"items": {"required": ["suppressions"]}})
    told = {r["ruleId"]: r["suppressions"][0]["justification"] for r in run["results"]}
    assert told["probability"].startswith("the second (FIN-1)")


@pytest.mark.parametrize(
    ("error", "uri", "line"),
    [
        (f"{PATH}:7: crossover:managed: missing", PATH, 7),
        ("waivers.yaml:3: policy: there is no rule", "waivers.yaml", 3),
        ("prices.toml:9: a/b.source: missing", "policies/cost_guard/catalogue/data/prices.toml", 9),
        ("usage/my prod.csv:12: negative", "usage/my%20prod.csv", 12),
        ("usage/prod.json: no such file", "usage/prod.json", 1),
        ("/elsewhere/prices.toml:4: missing", PATH, 1),
        ("../prices.toml:4: missing", PATH, 1),
        ("C:\\prices.toml:4: missing", PATH, 1),
        (f"{PATH}:0: nothing", PATH, 1),
        ("workload.tokensPerMonth: missing", PATH, 1),
        ("", PATH, 1),
    ],
)
def test_an_error_is_found_in_its_own_file(reviewed: Reviewed, error: str, uri: str, line: int) -> None:
    """From the repository's root: GitHub refuses a file with an absolute URI, a text that is empty, or a line 0."""
    review = reviewed(config(2), run=None)
    broken = replace(review, head=replace(review.head, verdict=None, errors=(error,)))
    document = sarif.document(broken, rules.known())
    jsonschema.validate(document, SARIF_SHAPE)
    (result,) = document["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (uri, line)


def test_sarif_has_no_more_than_github_shows(reviewed: Reviewed) -> None:
    """5,000 results, the worst first; no text without end, and no link in one."""
    advice = tuple(
        PolicyViolation("tags", "company", "advisory", f"urn::{n}", "[x](http://a.example) " * 500) for n in range(20)
    )
    many = (
        *advice,
        PolicyViolation("node-outside-fleet", "cost-guard", "mandatory", "urn::a", "outside"),
    ) + advice * 300
    (run,) = sarif.document(reviewed(config(2), run=Run(violations=many)), rules.known())["runs"]
    assert len(run["results"]) == sarif.MOST_RESULTS
    assert run["results"][0]["ruleId"] == "node-outside-fleet"
    text = run["results"][1]["message"]["text"]
    assert len(text) == sarif.MOST_MESSAGE
    assert "](" not in text
    jsonschema.validate({"version": "2.1.0", "runs": [{**run, "results": run["results"][:50]}]}, SARIF_SHAPE)


def test_rules_say_what_to_do(blocked: Review) -> None:
    """With the page on which they are described."""
    (run,) = sarif.document(blocked, rules.known())["runs"]
    told = {rule["id"]: rule["help"]["text"] for rule in run["tool"]["driver"]["rules"]}
    assert told["probability"].endswith(" See docs/reference/policies.md#probability.")
    assert told["rule-in-force"] == "See docs/howto/pull-requests.md."


def test_fingerprints_do_not_change_with_figures(reviewed: Reviewed) -> None:
    """The same finding at another volume is the same alert."""

    def prints(review: Review) -> dict[str, Any]:
        (run,) = sarif.document(review, rules.known())["runs"]
        return {result["ruleId"]: result["partialFingerprints"] for result in run["results"]}

    assert prints(reviewed(config(4))) == prints(reviewed(config(4, volume=5e9)))


def test_junit_has_one_case_a_rule(blocked: Review) -> None:
    suite = ElementTree.fromstring(junit.render(blocked, rules.known()).split("\n", 1)[1])
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert set(cases) == set(rules.known())
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failed == {"break-even", "horizon", "rule-in-force", "node-outside-fleet"}
    told = cases["probability"].find("system-out")
    assert told is not None
    assert (told.text or "").startswith("WAIVED ")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(cases)), "4", "0")


def test_junit_skips_what_was_not_asked(reviewed: Reviewed) -> None:
    """Without a run the pack's other rules; without a verdict all but the configuration."""

    def skipped(review: Review) -> set[str | None]:
        suite = ElementTree.fromstring(junit.render(review, rules.known()).split("\n", 1)[1])
        return {case.get("name") for case in suite.iter("testcase") if case.find("skipped") is not None}

    assert "node-outside-fleet" in skipped(reviewed(config(2), run=None))
    assert "break-even" not in skipped(reviewed(config(2), run=None))
    assert skipped(reviewed(config(2, managed={}))) == set(rules.known()) - {"configuration"}


def test_junit_is_xml_whatever_a_message_holds(reviewed: Reviewed) -> None:
    """Control characters are in no XML."""
    text = junit.render(reviewed(config(2), run=Run(failures=("\x1b[31m<boom> & \x00]]>",))), rules.known())
    assert "boom" in "".join(ElementTree.fromstring(text.split("\n", 1)[1]).itertext())


def test_the_document_has_both_verdicts_and_everything_else(blocked: Review) -> None:
    document = json.loads(json.dumps(report.document(blocked, strict=False)))
    assert (document["verdict"], document["exitCode"], document["marker"]) == (
        "BLOCK", 2, "<!-- crossover:stack=prod -->",
    )  # fmt: skip
    assert document["head"]["verdict"]["selfHostedUsdPerMonth"] == 35780
    assert document["base"]["verdict"]["selfHostedUsdPerMonth"] == 19940
    assert document["base"]["ref"] == "HEAD"
    assert document["head"]["selfHostedUsdPerMillion"] == pytest.approx(35780 / 6000)
    assert document["notInForce"] == [{"rule": "budget", "how": "disabled"}]
    assert document["violations"][0]["rule"] == "node-outside-fleet"
    assert document["waivers"][0]["state"] == "used"
    assert {flip["input"] for flip in document["flips"]} == {"volume", "managed price", "nodes"}


def test_the_document_of_what_cannot_be_evaluated(reviewed: Reviewed) -> None:
    document = report.document(reviewed(config(2, managed={})), strict=False)
    assert (document["verdict"], document["exitCode"], document["head"]["verdict"]) == ("CANNOT EVALUATE", 3, None)
    assert "managed" in document["head"]["errors"][0]
    assert document["changes"] is None
