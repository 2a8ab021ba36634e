"""`junit.xml`: one test case a rule, for everything that shows tests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from scripts.crossover.review.review import Review, ReviewFinding
from scripts.crossover.review.rules import OF_THE_VERDICT

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(review: Review, rules: Iterable[str]) -> str:
    """XML. `rules` has every rule's id; one that was not asked is skipped."""
    cases = list(dict.fromkeys([*rules, *(finding.rule for finding in review.findings)]))
    suite = ElementTree.Element("testsuite", name=f"crossover preview {_clean(review.stack)}", errors="0")
    failed = skipped = 0
    for rule in cases:
        case = ElementTree.SubElement(suite, "testcase", classname="crossover", name=_clean(rule), file=review.path)
        found = [finding for finding in review.findings if finding.rule == rule]
        bad = [finding for finding in found if finding.level in ("BLOCK", "ERROR")]
        if bad:
            failed += 1
            failure = ElementTree.SubElement(case, "failure", type=bad[0].level, message=_clean(bad[0].message))
            failure.text = _lines(bad)
        elif found:
            ElementTree.SubElement(case, "system-out").text = _lines(found)
        elif why := _why_not_asked(review, rule):
            skipped += 1
            ElementTree.SubElement(case, "skipped", message=_clean(why))
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(failed))
    suite.set("skipped", str(skipped))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _why_not_asked(review: Review, rule: str) -> str:
    """Empty where the rule was asked: without a verdict none was, without a run those of the verdict alone."""
    if review.verdict is None or (review.run is None and rule not in OF_THE_VERDICT):
        return "not evaluated"
    deferred = dict(review.run.deferred) if review.run else {}
    return f"judged in up: {deferred[rule]}" if rule in deferred else ""


def _lines(found: list[ReviewFinding]) -> str:
    return _clean("\n".join(f"{finding.level} {finding.message}" for finding in found))


def _clean(value: str) -> str:
    return _NOT_XML.sub("\ufffd", value)
