"""`sarif.json`: SARIF 2.1.0, for code scanning. Waived findings are there, suppressed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from scripts.crossover.review.review import Review, ReviewFinding
from scripts.crossover.review.rules import RuleText

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"BLOCK": "error", "ERROR": "error", "WARN": "warning", "WAIVED": "error"}
"""What a waiver lifts is as bad as before, and suppressed."""
MOST_RESULTS = 5000
"""GitHub shows no more of one run."""
MOST_MESSAGE = 4000


def document(review: Review, rules: Mapping[str, RuleText]) -> dict[str, Any]:
    """Plain data. `rules` has every rule's id, what it demands and what to do."""
    ids = list(dict.fromkeys([*rules, *(finding.rule for finding in review.findings)]))
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "crossover", "rules": [_rule(name, rules.get(name)) for name in ids]}},
                # One category a stack, or the results of one would replace those of another.
                "automationDetails": {"id": f"crossover/{review.stack}/"},
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(review, finding, ids.index(finding.rule)) for finding in review.findings[:MOST_RESULTS]
                ],
            }
        ],
    }


def _rule(name: str, known: RuleText | None) -> dict[str, Any]:
    """GitHub's documentation requires all three texts. A rule of another pack is known by its name alone."""
    demand, remedy = (known.demand, known.remedy) if known else (name, name)
    texts = {"shortDescription": demand, "fullDescription": demand, "help": remedy}
    return {"id": name, **{key: {"text": text} for key, text in texts.items()}}


def _result(review: Review, finding: ReviewFinding, rule_index: int) -> dict[str, Any]:
    # GitHub refuses a whole file for one result without a text or a location, or with an absolute URI.
    place = {
        "artifactLocation": {"uri": quote(finding.path or review.path)},
        "region": {"startLine": finding.line},
    }
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": LEVELS[finding.level],
        "message": {"text": _text(finding.message) or finding.rule},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": _fingerprints(review, finding),
    }
    if finding.level == "WAIVED":
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": _justification(review, finding)}
        ]
    return result


def _text(message: str) -> str:
    """At most MOST_MESSAGE characters, in which nothing is a link (SARIF 2.1.0, 3.11.6)."""
    return message.strip().replace("](", "] (")[:MOST_MESSAGE]


def _justification(review: Review, finding: ReviewFinding) -> str:
    """The waiver that counts, of several for the rule; what the finding says of it where that is not known."""
    used = (waiver.text for waiver in review.shown_waivers if (waiver.policy, waiver.state) == (finding.rule, "used"))
    return _text(next(used, finding.message))


def _fingerprints(review: Review, finding: ReviewFinding) -> dict[str, str]:
    """Of the rule and the stack alone: figures in a message change, the finding stays the same one."""
    same = [other for other in review.findings if other.rule == finding.rule]
    # Unlike findings of one rule are told apart by their order.
    text = f"{review.stack}\0{finding.rule}\0{same.index(finding)}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    # GitHub tells alerts apart by the second alone. It would make it from the line's text, which it cannot read: the
    # job that uploads has no checkout.
    return {"crossover/v1": digest, "primaryLocationLineHash": f"{digest[:16]}:1"}
