"""Every rule of the pack, discovered: those on the verdict, those on resources. It loads no SDK and no catalogue."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from cost_guard.codes import Codes, Rule, discovered
from cost_guard.pack import resources
from cost_guard.verdict.rules import RULES


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """All that are mandatory, in the order in which they are told.

    Raises ImportError for a file without a rule, and for two rules with one code or one position.
    """
    of_resources = discovered(resources)
    if doubled := [rule.code for rule in of_resources if rule.code in RULES]:
        file = doubled[0].replace("-", "_")
        raise ImportError(
            f"verdict/rules/{file}.py and pack/resources/{file}.py both hold the rule {doubled[0]}: rename one"
        )
    found = sorted([*RULES.values(), *of_resources], key=lambda rule: rule.position)
    for one, other in pairwise(found):
        if one.position == other.position:
            raise ImportError(f"the rules {one.code} and {other.code} both have the position {one.position}: move one")
    return tuple(found)


@lru_cache(maxsize=1)
def codes() -> Codes:
    """What a file of waivers is checked against."""
    return Codes(
        mandatory=tuple(rule.code for rule in rules()),
        of_verdict=frozenset(RULES),
        never_waived={rule.code: rule.never_waived for rule in rules() if rule.never_waived},
    )
