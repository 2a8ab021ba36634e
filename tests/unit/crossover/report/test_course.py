"""How the sums of both sides run: title, subtitle, marks and report of a scenario say the same, and the truth."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from cost_guard.arithmetic.months.crossings import Crossing
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.report.charts import tco, tornado
from scripts.crossover.report.course import Course
from tests.support.gate import verdict_of


def judge(volume: str, usd_per_node: float = 7920, growth: str = "0", fleet: Any = None, **horizon: Any) -> Verdict:
    """Two nodes of 4,759 tokens/s against $5 a million tokens, $4,100 of overhead."""
    own = {"nodes": 2, "usdPerNodeMonth": usd_per_node, "tokensPerSecond": 4759}
    data = {
        "workload": {"tokensPerMonth": volume, "kind": "measured", "growthPerMonth": growth, **MODEL},
        "managed": {"usdPerMillionTokens": 5, "model": "gpt-4o", "source": "an invoice", "date": "2026-11-01"},
        "fleet": fleet or own,
        "horizon": {"months": 24, **horizon},
        "uncertainty": {"draws": 100},
    }
    return verdict_of(parse_scenario(data, prefix=""), load_catalogue(), date(2026, 11, 22), bills_money=False)


MODEL = {"model": "meta-llama/Llama-3.3-70B-Instruct"}
DECLINED = sum(30_000 * 0.5 ** (month / 12) for month in range(24))
"""USD: 6B tokens a month at $5 while the price halves each year."""
RESERVED = {"nodes": 2, "sku": "aws/p4de.24xlarge-reserved-36m"}

SCENARIOS = {
    "bought for a million": judge("6e9", upfrontUsd=1_000_000),
    "hardware bought, little volume": judge("2e9", 591.3, upfrontUsd=360_000),
    "the API's price halves": judge("6e9", apiPriceDeclinePerYear="0.5"),
    "reserved for 36 months, shrinking": judge("9e9", growth="-0.1", fleet=RESERVED, discountRatePerYear="0.08"),
    "ramp": judge("2e9", growth="0.15"),
}
"""Five whose charts contradicted themselves or left a crossing out, each with its own formula below."""


def judged_of(verdict: Verdict) -> Judged:
    assert verdict.shown is not None
    return verdict.shown


@pytest.mark.parametrize(
    ("name", "saving"),
    [
        ("bought for a million", 24 * (30_000 - 19_940) - 1_000_000),
        ("hardware bought, little volume", 24 * (10_000 - 2 * 591.3 - 4100) - 360_000),
        ("the API's price halves", DECLINED - 24 * 19_940),
        ("reserved for 36 months, shrinking", 393_883.337 - 646_250.946),
        ("ramp", 1_841_678.413 - 819_120),
    ],
)
def test_the_title_tells_what_the_horizon_comes_to(name: str, saving: float) -> None:
    """The first three by their sums; the others are two examples of the scenario's contract, computed twice."""
    course = Course.of(judged_of(SCENARIOS[name]))
    assert float(course.saving_usd) == pytest.approx(saving, abs=0.01)
    verb = "saves" if saving >= 0 else "costs"
    assert re.match(rf"Over 24 months self-hosting {verb} \$", course.title)
    assert course.title.partition(", at ")[0].endswith(" more") is (saving < 0)


@pytest.mark.parametrize(
    ("name", "ahead", "start"),
    [
        ("bought for a million", "managed is ahead all along", "best start: never"),
        ("hardware bought, little volume", "managed is ahead all along", "best start: never"),
        ("the API's price halves", "self-hosting is ahead from the first day to month 16.42", "best start: never"),
        (
            "reserved for 36 months, shrinking",
            "self-hosting is ahead from the first day to month 18.05",
            "best start: never",
        ),
        ("ramp", "self-hosting is ahead from month 10.34 on", "best start: after month 5, which saves $1.05M"),
    ],
)
def test_the_subtitle_tells_every_crossing_and_the_best_start(name: str, ahead: str, start: str) -> None:
    """18.049373, 10.340026 and 1,841,678.413 − 786,843.8125 are the contract's; the API's price: see below."""
    course = Course.of(judged_of(SCENARIOS[name]))
    assert (course.ahead, course.start) == (ahead, start)
    subtitle = tco.chart(SCENARIOS[name]).subtitle
    assert ahead in subtitle
    assert start in subtitle


def test_the_second_crossing_is_where_the_lead_is_gone() -> None:
    """The lead after month t is what it was and 30,000·0.5^((t−1)/12) − 19,940: it ends within month 17."""
    lead, at = 0.0, 0.0
    for month in range(24):
        gain = 30_000 * 0.5 ** (month / 12) - 19_940
        if lead > 0 > lead + gain:
            at = month - lead / gain
        lead += gain
    first, second = judged_of(SCENARIOS["the API's price halves"]).tco.crossings
    assert first.month == 0
    assert [one.cheaper for one in (first, second)] == ["self-hosted", "managed"]
    assert float(second.month) == pytest.approx(at)


@pytest.mark.parametrize("name", SCENARIOS)
def test_title_subtitle_and_marks_never_contradict(name: str) -> None:
    """Who is ahead at the end is who is cheaper on the whole; each crossing and the best start are marked."""
    verdict = SCENARIOS[name]
    judged, course, drawn = judged_of(verdict), Course.of(judged_of(verdict)), tco.data(judged_of(verdict))
    assert [crossing for crossing, _ in drawn.crossings] == list(judged.tco.crossings)
    last = judged.tco.crossings[-1].cheaper if judged.tco.crossings else "managed"
    assert (last == "self-hosted") is (course.undiscounted_saving_usd >= 0)
    assert course.undiscounted_saving_usd == drawn.managed[-1][1] - drawn.self_hosted[-1][1]
    if not judged.horizon.discount_rate_per_year:
        assert course.saving_usd == course.undiscounted_saving_usd
    assert drawn.best_start == (None if course.best_start == 24 else judged.tco.best_start[0])
    chart = tco.chart(verdict)
    assert (chart.title, course.ahead in chart.description) == (course.title, True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_tornado_asks_the_same_question_as_the_horizon(name: str) -> None:
    """A fleet that loses over its months is never told that nothing makes it lose; price and growth have their bars."""
    loses = Course.of(judged_of(SCENARIOS[name])).saving_usd < 0
    title = tornado.chart(SCENARIOS[name]).title
    assert title.endswith("pay" if loses else "lose")
    assert {"node price", "growth"} <= {bar.name for bar in tornado.data(judged_of(SCENARIOS[name]))}


def course_of(*months: str) -> Course:
    """With crossings that take turns, self-hosted first."""
    found = tuple(Crossing(Fraction(month), "managed" if at % 2 else "self-hosted") for at, month in enumerate(months))
    return Course(24, Fraction(1), Fraction(1), Decimal(0), found, 0, Fraction(1))


@pytest.mark.parametrize(
    ("months", "ahead"),
    [
        ((), "managed is ahead all along"),
        (("0",), "self-hosting is ahead all along"),
        (("2.5",), "self-hosting is ahead from month 2.5 on"),
        (("1", "7/3", "12"), "self-hosting is ahead from month 1 to 2.33 and from month 12 on"),
        (("1", "12", "13", "24"), "self-hosting is ahead from month 1 to 12 and from month 13 to 24"),
        (
            ("0", "2", "3", "4", "5"),
            "the lead changes 5 times, first in month 0; from month 5 on self-hosting is ahead",
        ),
        (
            ("1", "2", "3", "4", "5", "24"),
            "the lead changes 6 times, first in month 1; from month 24 on managed is ahead",
        ),
    ],
)
def test_the_lead_is_told_in_words(months: tuple[str, ...], ahead: str) -> None:
    assert course_of(*months).ahead == ahead


def test_a_discount_that_turns_the_answer_is_told_beside_what_is_drawn() -> None:
    """240,000 up front and 24 months of 10,060: 1,440 saved undiscounted, too much at 8 % a year."""
    verdict = judge("6e9", upfrontUsd=240_000, discountRatePerYear="0.08")
    course = Course.of(judged_of(verdict))
    assert course.undiscounted_saving_usd == 24 * 10_060 - 240_000
    factor = sum(1.08 ** (-month / 12) for month in range(1, 25))
    assert float(course.saving_usd) == pytest.approx(10_060 * factor - 240_000)
    assert course.title == "Over 24 months self-hosting costs $16.9k more, at 8 % a year"
    assert "undiscounted it saves $1.44k" in tco.chart(verdict).subtitle
