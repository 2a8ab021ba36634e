"""Every rule that a review can speak of, by its stable id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cost_guard.pack import policies
from cost_guard.pack.rule import DOCS
from cost_guard.verdict.verdict import RULES
from scripts.crossover.review.review import CONFIGURATION, OWN_BASELINE, OWN_RULES, SHOWN_BY_THE_PACK

HOW_TO = "docs/howto/pull-requests.md"
OF_THE_VERDICT = frozenset({*RULES, CONFIGURATION, OWN_BASELINE})
"""Those that need no program to be run."""


@dataclass(frozen=True)
class RuleText:
    """What is to be said of a rule, whatever it has found."""

    demand: str
    remedy: str
    """What to do about a violation, and where it is described."""


def known() -> Mapping[str, RuleText]:
    """By id: the rules of the pack, then those of this command."""
    of_the_pack = {
        policy.name: RuleText(policy.description, f"{policy.remediation_steps} See {DOCS}#{policy.name}.")
        for policy in policies()
        if policy.name not in SHOWN_BY_THE_PACK
    }
    own = {name: RuleText(demand, f"See {HOW_TO}.") for name, demand in OWN_RULES.items()}
    return of_the_pack | own
