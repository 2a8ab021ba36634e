"""The same traffic by days and by hours: days cannot show the peak, and the verdict says where it decides.

160M tokens a day, evenly: V = 160M × 730/24 = 4.866667B, managed $24,333.33 at $5/M. A node serves
4,759 × 0.7 × 730 × 3,600/ρ tokens a month: 8.754B at ρ = 1 (2 nodes with a spare: $19,940), 2.918B at ρ = 3 (3 nodes:
$27,860).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.scenario.measuring import DayOfTokens, measure
from cost_guard.scenario.proposal import Proposal, parse_proposal
from cost_guard.scenario.usage import Usage, VolumeSource
from cost_guard.verdict.judge import judge
from cost_guard.verdict.verdict import Verdict

LAST = date(2026, 11, 21)
A_DAY = 160_000_000
SAID = "Hourly data would decide"


def usage_of(days: Sequence[DayOfTokens], **more: Any) -> Usage:
    series = {LAST - timedelta(days=len(days) - 1 - n): day for n, day in enumerate(days)}
    source = VolumeSource(name="page.json", format="openai", sha256="0" * 64, records=30)
    return measure(series, sources=(source,), imported_at=date(2026, 11, 22), **more)


def day(hours: tuple[int, ...] | None, tokens: int = A_DAY) -> DayOfTokens:
    return DayOfTokens(tokens * 3 // 4, 0, tokens // 4, hours)


def verdict(usage: Usage, price: float = 5, fleet: int = 2) -> Verdict:
    data = {
        "workload": {"usage": "usage.yaml"},
        "managed": {"usdPerMillionTokens": price, "source": "invoice", "date": "2026-11-01"},
        "fleet": {"nodes": fleet, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
        "uncertainty": {"volume": 0.05},
    }
    proposal: Proposal = replace(parse_proposal(data, None, usage), bills_money=False)
    return judge(proposal, load_catalogue(), LAST)


def left(found: Verdict) -> Decimal:
    """Managed less self-hosted, USD per month."""
    assert found.managed_usd_per_month is not None
    assert found.self_hosted_usd_per_month is not None
    return (found.managed_usd_per_month - found.self_hosted_usd_per_month).quantize(Decimal(1))


def test_days_block_what_hours_pass_and_the_block_says_that_hours_decide() -> None:
    """One traffic, two exports: -$3,527 with the assumed peak, +$4,393 with the measured one."""
    by_day, by_hour = verdict(usage_of([day(None)] * 30)), verdict(usage_of([day((A_DAY // 24,) * 24)] * 30))
    assert (by_day.level, left(by_day)) == (Level.BLOCK, Decimal(-3527))
    assert (by_hour.level is Level.BLOCK, left(by_hour)) == (False, Decimal(4393))
    assert by_day.notes[0] == (
        "Hourly data would decide: peakToMean 3 is assumed from days, and with even hours (1) this would be "
        f"{by_hour.level}. Export usage by the hour and import it again."
    )
    assert not any(SAID in note for note in by_hour.notes)


def test_the_peak_s_source_says_that_it_is_assumed() -> None:
    found = verdict(usage_of([day(None)] * 30)).inputs["peakToMean"]
    assert (found.value, found.source.endswith("(openai): assumed from days"), found.date) == (3, True, LAST)
    measured = verdict(usage_of([day((A_DAY // 24,) * 24)] * 30)).inputs["peakToMean"]
    assert "assumed" not in measured.source


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (usage_of([day(None)] * 30), 1),
        (usage_of([day(None)] * 30), 9),
        (usage_of([day(None)] * 30, peak_to_mean=Decimal(3)), 5),
        (usage_of([day((A_DAY // 8,) * 8 + (0,) * 16)] * 30), 5),
    ],
    ids=["no hours help", "no hours are needed", "somebody knows the peak", "the hours are known"],
)
def test_nothing_is_said_where_hours_decide_nothing(usage: Usage, price: float) -> None:
    assert not any(SAID in note for note in verdict(usage, price).notes)


def test_the_least_peak_is_that_of_even_hours() -> None:
    """29 days of 10 and one of 30: the 99th percentile of 720 hours, of which 24 are of the busy day."""
    usage = usage_of([day(None, 10**9)] * 29 + [day(None, 3 * 10**9)])
    assert (usage.peak_to_mean, usage.peak_at_least) == (Decimal("8.438"), Decimal("2.812"))  # 90/32 × 3, 90/32
    assert usage.with_even_days is not None
    assert usage.with_even_days.with_even_days is None
