"""What is judged everywhere: scenario, baseline and usage file, and the verdict under the waivers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.codes import Level
from cost_guard.pack.registry import codes
from cost_guard.scenario.measuring import DayOfTokens, measure
from cost_guard.scenario.proposal import parse_proposal
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.usage import VolumeSource
from cost_guard.scenario.waiver_file import parse_waivers
from cost_guard.scenario.waivers import fleet_urn
from cost_guard.verdict.judge import judge

Plain = Callable[..., dict[str, Any]]
TODAY = date(2026, 11, 22)
WAIVERS = "\n".join(
    f"- {{policy: {policy}, stack: prod, owner: a, approver: b, reason: r, ticket: T-1, created: 2026-11-01, "
    "expires: 2026-12-01}"
    for policy in ("break-even", "horizon", "probability")
)


def test_every_mistake_of_scenario_and_baseline_is_told(plain: Plain) -> None:
    """Each by its key, in one go."""
    with pytest.raises(ScenarioError) as caught:
        parse_proposal({**plain(), "managed": {}}, {"nodes": 2, "usdPerMonth": 1, "approvedBy": "a"})
    assert [line.split(": ")[0] for line in caught.value.lines] == ["crossover:managed", "crossover:baseline.date"]
    with pytest.raises(ScenarioError, match=r"^baseline: expected a map of keys, got 3"):
        parse_proposal(plain(), 3, prefix="")


def test_the_usage_file_gives_the_numbers(plain: Plain) -> None:
    """The scenario names it, and what it counted is judged: 10⁸ tokens a day × 730/24."""
    days = {date(2026, 10, number): DayOfTokens(8 * 10**7, 0, 2 * 10**7) for number in range(1, 31)}
    source = VolumeSource(name="a.csv", format="csv", sha256="0" * 64, records=30)
    usage = measure(days, sources=[source], imported_at=TODAY)
    found = parse_proposal({**plain(), "workload": {"usage": "usage.yaml"}}, usage=usage).scenario.workload
    assert (found.tokens_per_month, found.input_share) == (Decimal(round(10**8 * 730 / 24)), Decimal("0.8"))
    assert (found.kind, found.usage) == ("measured", None)


def test_waivers_of_the_fleets_stack_lift_its_blocks(plain: Plain, catalogue: Catalogue) -> None:
    """500e6 tokens against $19,940 are blocked; waived in prod, not in another stack, and not without waivers."""
    given, waivers = parse_proposal(plain("500e6", workload={"kind": "measured"})), parse_waivers(WAIVERS, codes())
    assert judge(given, catalogue, TODAY).level is Level.BLOCK
    assert judge(given.under(waivers, fleet_urn("prod")), catalogue, TODAY).level is Level.WARN
    assert judge(given.under(waivers, fleet_urn("dev")), catalogue, TODAY).level is Level.BLOCK
