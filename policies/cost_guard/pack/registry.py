"""Every rule of the pack, discovered: those on the verdict, those on resources. It loads no SDK and no catalogue."""

from __future__ import annotations

from functools import lru_cache

from cost_guard.codes import Codes, Rule, discovered
from cost_guard.pack import resources
from cost_guard.verdict.rules import RULES


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """All that are mandatory, in the order in which they are told. Raises ImportError for a file without a rule."""
    return tuple(sorted([*RULES.values(), *discovered(resources)], key=lambda rule: rule.position))


@lru_cache(maxsize=1)
def codes() -> Codes:
    """What a file of waivers is checked against."""
    return Codes(
        mandatory=tuple(rule.code for rule in rules()),
        of_verdict=frozenset(RULES),
        never_waived={rule.code: rule.never_waived for rule in rules() if rule.never_waived},
    )
