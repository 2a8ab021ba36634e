"""`sarif.json`: SARIF 2.1.0, for code scanning. Waived findings are there, suppressed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from scripts.crossover.preview.review import Finding, Review

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"BLOCK": "error", "ERROR": "error", "WARN": "warning", "WAIVED": "error"}
MOST_RESULTS = 5000
"""GitHub shows no more of one run."""
MOST_MESSAGE = 4000


def document(review: Review, rules: Mapping[str, str]) -> dict[str, Any]:
    """Plain data. `rules` has every rule's id and what it demands."""
    ids = list(dict.fromkeys([*rules, *(finding.rule for finding in review.findings)]))
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "crossover", "rules": [_rule(name, rules.get(name, "")) for name in ids]}},
                # One category a stack, or the results of one would replace those of another.
                "automationDetails": {"id": f"crossover/{review.stack}/"},
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(review, finding, ids.index(finding.rule)) for finding in review.findings[:MOST_RESULTS]
                ],
            }
        ],
    }


def _rule(name: str, demand: str) -> dict[str, Any]:
    return {"id": name, "shortDescription": {"text": demand or name}}


def _result(review: Review, finding: Finding, rule_index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": LEVELS[finding.level],
        "message": {"text": finding.message[:MOST_MESSAGE]},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": review.path}, "region": {"startLine": finding.line}}}
        ],
        # Of the rule and the stack alone: figures in a message change, the finding stays the same one.
        "partialFingerprints": {"crossover/v1": _fingerprint(review, finding)},
    }
    if finding.level == "WAIVED":
        justification = next((waiver.text for waiver in review.shown_waivers if waiver.policy == finding.rule), "")
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    return result


def _fingerprint(review: Review, finding: Finding) -> str:
    same = [other for other in review.findings if other.rule == finding.rule]
    # Unlike findings of one rule are told apart by their order, which follows the engine's.
    text = f"{review.stack}\0{finding.rule}\0{same.index(finding)}"
    return hashlib.sha256(text.encode()).hexdigest()
