"""Every rule that a review can speak of, by its stable id."""

from __future__ import annotations

from collections.abc import Mapping

from cost_guard.rules import policies
from cost_guard.verdict import RULES

from scripts.crossover.preview.review import CONFIGURATION, OWN_RULES, SHOWN_BY_THE_PACK

OF_THE_VERDICT = frozenset({*RULES, CONFIGURATION})
"""Those that need no program to be run."""


def known() -> Mapping[str, str]:
    """Id → what the rule demands: those of the pack, then those of this command."""
    of_the_pack = {policy.name: policy.description for policy in policies() if policy.name not in SHOWN_BY_THE_PACK}
    return of_the_pack | dict(OWN_RULES)
