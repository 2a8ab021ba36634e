"""Every rule that a review can speak of, by its stable id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cost_guard.codes import BESIDE
from cost_guard.pack import registry
from cost_guard.verdict.rules import RULES

IN_FORCE = "rule-in-force"
CONFIGURATION = "configuration"
OWN_BASELINE = "own-baseline"
PROGRAM = "program"
STACK_WITHOUT_JOB = "stack-without-job"
SECRETS_SET = "secrets-set"
BASE_SCALES = "base-scales"
ENVIRONMENT = "environment"
OWN_RULES: Mapping[str, str] = {
    IN_FORCE: "Every mandatory rule of the pack must be in force.",
    CONFIGURATION: "The stack's configuration must be usable.",
    OWN_BASELINE: "A pull request does not raise the baseline that it is judged by.",
    PROGRAM: "The preview must run to its end.",
    STACK_WITHOUT_JOB: "Every stack has a job that judges it.",
    BASE_SCALES: "What is bought is judged by the figures that stood before it, too.",
    SECRETS_SET: "Every secret that the configuration names is set.",
    ENVIRONMENT: "What a stack is configured with stands in its file.",
    BESIDE: "Disks, gateways and load balancers cost no more than the scenario assumes for storage and network.",
}
"""Rules of this command, beside those of the pack."""
HOW_TO = "docs/howto/pull-requests.md"
OF_THE_VERDICT = frozenset(
    {*RULES, BASE_SCALES, CONFIGURATION, ENVIRONMENT, OWN_BASELINE, SECRETS_SET, STACK_WITHOUT_JOB}
)
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
