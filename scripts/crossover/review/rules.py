"""Every rule that a review can speak of, by its stable id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cost_guard.pack import registry
from cost_guard.verdict.rules import RULES
from scripts.crossover.review.review import (
    BASE_SCALES,
    CONFIGURATION,
    OWN_BASELINE,
    OWN_RULES,
    SECRETS_SET,
    STACK_WITHOUT_JOB,
)

HOW_TO = "docs/howto/pull-requests.md"
OF_THE_VERDICT = frozenset({*RULES, BASE_SCALES, CONFIGURATION, OWN_BASELINE, SECRETS_SET, STACK_WITHOUT_JOB})
"""Those that need no program to be run."""


@dataclass(frozen=True)
class RuleText:
    """What is to be said of a rule, whatever it has found."""

    demand: str
    remedy: str
    """What to do about a violation, and where it is described."""


def known() -> Mapping[str, RuleText]:
    """By id: the rules of the pack, then those of this command."""
    of_the_pack = {rule.code: RuleText(rule.demand, f"{rule.remedy} See {rule.docs}.") for rule in registry.rules()}
    own = {name: RuleText(demand, f"See {HOW_TO}.") for name, demand in OWN_RULES.items()}
    return of_the_pack | own
