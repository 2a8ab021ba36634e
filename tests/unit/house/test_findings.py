"""Each finding that was mended has a test that says its number, so that nobody takes it out for want of a reason."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.checkout import REPOSITORY

AUDIT = (*map(str, range(1, 23)), "14-S", "E", "B")
"""Of the audit at 00b4ce2. B and E are sections, with their low ones; 22 stands for those. What it found of the gate's
verdicts is in tests/unit/cost_guard/verdict/test_findings.py, by section."""
PUBLIC_BUGS = ("8", "9", "10", "13", "14", "21")
"""What users of neighbouring tools ran into."""
ENDPOINT = (
    "model last, body", "nesting", "JSON array as body", "200 concurrent", "80 prompts of 29,500 tokens",
    "client gone, plain", "1,100 idle connections", "alert and counter of money spent through fallback", "http-reuse",
    "503 after queueTimeoutMs",
)  # fmt: skip
"""How a row of the endpoint's findings begins."""


def docstrings() -> str:
    """Of all tests, one after the other."""
    found = []
    for file in sorted((REPOSITORY / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        found += [
            ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
    return "\n".join(found)


SAID = docstrings()


@pytest.mark.parametrize("number", AUDIT)
def test_a_finding_of_the_audit_has_a_test(number: str) -> None:
    found = re.search(rf"\bAudit (?:[\w-]+, )*{number}\b", SAID)
    assert found is not None


@pytest.mark.parametrize("number", PUBLIC_BUGS)
def test_a_public_bug_has_a_test(number: str) -> None:
    found = re.search(rf"\b[Pp]ublic bugs? (?:\d+, )*{number}\b", SAID)
    assert found is not None


@pytest.mark.parametrize("row", ENDPOINT)
def test_a_row_of_the_endpoints_findings_has_a_test(row: str) -> None:
    found = re.search(rf"Endpoint: [^\n]*{re.escape(row)}", SAID)
    assert found is not None
