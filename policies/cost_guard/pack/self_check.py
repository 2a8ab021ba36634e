"""Rule self-check: a mandatory rule that is disabled or downgraded is seen, and so is a configuration that is misspelt.

`--policy-pack-config` may change every rule's level, this one's too, and a run then ends with a green tick. The server
(server.py) tells the levels that it was given, and never lets this rule fall silent: disabled, it is advisory. It is
asked about the stack's root, so before anything is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pulumi_policy import EnforcementLevel, ResourceValidationArgs, Severity

from cost_guard.codes import MANDATORY
from cost_guard.pack.rule import rule

CODE = "self-check"
STACK_TYPE = "pulumi:pulumi:Stack"

levels: dict[str, EnforcementLevel] = {}
"""Rule → the level that the engine gave it; absent where it has its own."""
complaints: list[str] = []
"""What is wrong with the rules' configurations."""


def weakened(given: Mapping[str, EnforcementLevel]) -> dict[str, EnforcementLevel]:
    """The mandatory rules that are not mandatory, in the order of the registry."""
    strong = (EnforcementLevel.MANDATORY, EnforcementLevel.REMEDIATE)
    return {code: given[code] for code in MANDATORY if given.get(code, EnforcementLevel.MANDATORY) not in strong}


def _check(args: ResourceValidationArgs, _: Any) -> Iterable[str]:
    yield from complaints
    for level in (EnforcementLevel.DISABLED, EnforcementLevel.ADVISORY):
        if codes := [code for code, found in weakened(levels).items() if found is level]:
            everything = " (every one of them)" if len(codes) == len(MANDATORY) else ""
            yield f"the policy configuration makes mandatory rules {level.value}{everything}: {', '.join(codes)}"


RULE = rule(
    CODE,
    Severity.CRITICAL,
    "Mandatory rules stay mandatory.",
    "Take the level out of --policy-pack-config; let a violation through with a waiver, which expires.",
    (STACK_TYPE,),
    _check,
)
