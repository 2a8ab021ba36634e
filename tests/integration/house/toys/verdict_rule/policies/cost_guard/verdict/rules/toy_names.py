"""A rule on the verdict that only a test has: no fleet may be deployed."""

from __future__ import annotations

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, Question, VerdictRule


def find(asked: Question) -> Objection | None:
    return Objection(Level.BLOCK, f"on {asked.today} the toy forbids it")


RULE = VerdictRule(
    code="toy-names",
    position=1000,
    severity=Severity.LOW,
    demand="Nothing may be deployed.",
    remedy="Remove the toy.",
    asks=Question,
    find=find,
)
