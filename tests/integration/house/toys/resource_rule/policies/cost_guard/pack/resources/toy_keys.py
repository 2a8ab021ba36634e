"""A rule on resources that only a test has: no node may be made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cost_guard.codes import Severity
from cost_guard.pack.rule import ResourceRule
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import ResourceValidationArgs


def check(args: ResourceValidationArgs, _: Any) -> Iterable[str]:
    yield f"the toy forbids the node {args.props['key']}"


RULE = ResourceRule(
    code="toy-keys",
    position=1000,
    severity=Severity.LOW,
    demand="No node may be made.",
    remedy="Remove the toy.",
    looks_at=(names.NODE,),
    check=check,
)
