"""The gate as tests ask it: a scenario with what is known beside it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.scenario.usage import Usage, parse_usage
from cost_guard.verdict.facts.facts import facts_of
from cost_guard.verdict.judge import judge
from cost_guard.verdict.rule import Question, StackTotals
from cost_guard.verdict.verdict import Verdict


def verdict_of(
    scenario: Scenario, catalogue: Catalogue, day: date, baseline: Baseline | None = None, **beside: Any
) -> Verdict:
    """The verdict; `beside` are other fields of the Proposal. A volume that is called measured has a usage file of
    yesterday."""
    if scenario.workload.kind == "measured":
        beside.setdefault("usage", measured(scenario, day - timedelta(days=1)))
    return judge(Proposal(scenario, baseline, **beside), catalogue, day)


def measured(scenario: Scenario, to: date) -> Usage:
    """A usage file that says what the scenario does, of the 30 days up to `to`."""
    work = scenario.workload
    day = work.tokens_per_month * 24 / 730
    return parse_usage(
        {
            "tokensPerMonth": work.tokens_per_month,
            "inputShare": work.input_share,
            "cachedShare": work.cached_share,
            "peakToMean": work.peak_to_mean,
            "peakBasis": "hourly",
            "kind": "measured",
            "from": to - timedelta(days=29),
            "to": to,
            "days": 30,
            "volumeSigma": 0.02,
            "perDay": {"least": day, "median": day, "most": day},
            "sources": [{"name": "x.csv", "format": "csv", "sha256": "0" * 64, "records": 30}],
            "importedAt": to,
        }
    )


def question(proposal: Proposal, catalogue: Catalogue, day: date) -> Question:
    """What a rule is asked once of a stack of that one model."""
    facts = facts_of(proposal, catalogue)
    return Question(
        proposal,
        catalogue,
        day,
        facts,
        StackTotals(facts.nodes, facts.fixed_usd_per_month, facts.billed_usd_per_month),
    )
