"""Rule self-check: a mandatory rule that is disabled or downgraded is seen, and so is a configuration that is misspelt.

`--policy-pack-config` may change every rule's level, this one's too, and a run then ends with a green tick. The server
(server.py) tells what it was given, and never lets this rule fall silent: disabled, it is advisory. It is asked about
the stack's root, so before anything is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cost_guard.codes import Severity
from cost_guard.pack.rule import ResourceRule
from strict import names

complaints: list[str] = []
"""What is wrong with the configuration of the pack, from its server."""


def weakened(levels: Mapping[str, str], mandatory: Sequence[str]) -> Iterator[str]:
    """Of the levels that the engine gave to rules, by code: which mandatory rules do not block."""
    for level in ("disabled", "advisory"):
        if codes := [code for code in mandatory if levels.get(code) == level]:
            everything = " (every one of them)" if len(codes) == len(mandatory) else ""
            yield f"the policy configuration makes mandatory rules {level}{everything}: {', '.join(codes)}"


def _check(args: Any, _: Any) -> Iterable[str]:
    yield from complaints


RULE = ResourceRule(
    code="self-check",
    position=170,
    severity=Severity.CRITICAL,
    demand="Mandatory rules stay mandatory.",
    remedy="Take the level out of --policy-pack-config; let a violation through with a waiver, which expires.",
    never_waived="it says that rules are switched off, which nobody should miss",
    looks_at=(names.STACK,),
    check=_check,
)
