"""The gate as tests ask it: a scenario with what is known beside it."""

from __future__ import annotations

from datetime import date
from typing import Any

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.verdict.judge import judge
from cost_guard.verdict.verdict import Verdict


def verdict_of(
    scenario: Scenario, catalogue: Catalogue, day: date, baseline: Baseline | None = None, **beside: Any
) -> Verdict:
    """The verdict; `beside` are other fields of the Proposal."""
    return judge(Proposal(scenario, baseline, **beside), catalogue, day)
