"""Every format tells the same traffic the same way; files, pages and their order change nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date, timedelta
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.scenario.measuring import DayOfTokens
from scripts.crossover.usage.readers import FORMATS, format_of
from scripts.crossover.usage.series import Series
from scripts.crossover.usage.stream import Export
from tests.unit.crossover.usage import traffic
from tests.unit.crossover.usage.traffic import TODAY, Bucket

Days = dict[date, DayOfTokens | None]
Write = Callable[[Sequence[Bucket]], str]


def days_of(*texts: str, models: tuple[str, ...] = (), form: str | None = None) -> Days:
    """The days of exports, each told by its own signs."""
    with closing(Series(UTC, TODAY, models)) as series:
        for number, text in enumerate(texts):
            with closing(Export(f"page-{number}", cast(BinaryIO, io.BytesIO(text.encode())))) as export:
                told = FORMATS[form] if form else format_of(export)
                series.add(told.name, told.records(export, UTC))
        return series.days().series


def expected(buckets: Sequence[Bucket]) -> Days:
    """The days, summed here."""
    found: dict[date, list[int]] = {}
    for b in buckets:
        tokens = found.setdefault(b.start.date(), [0, 0, 0])
        for place, more in enumerate((b.fresh, b.cached, b.output)):
            tokens[place] += more
    return {day: DayOfTokens(fresh, cached, output) for day, (fresh, cached, output) in found.items()}


def without_hours(days: Days) -> Days:
    return {day: t and DayOfTokens(t.fresh, t.cached, t.output) for day, t in days.items()}


MONTH = range(30, 0, -1)
DAILY = traffic.daily(MONTH, lambda back: (900 + back, 300, 500))
HOURLY = traffic.hourly(MONTH, lambda back, hour: (90 + back, 30 + hour, 50))


UNCACHED = traffic.hourly(MONTH, lambda back, hour: (90 + back, 0, 50 + hour))


TOLD = [
    ("openai", traffic.openai, DAILY),
    ("openai", traffic.openai, HOURLY),
    ("anthropic", traffic.anthropic, DAILY),
    ("anthropic", traffic.anthropic, HOURLY),
    ("litellm", traffic.litellm_logs, HOURLY),
    ("litellm", traffic.litellm_daily, DAILY),
    ("csv", traffic.plain_csv, DAILY),
    ("prometheus", traffic.prometheus, HOURLY),
    ("openai-csv", traffic.openai_csv, DAILY),
    ("openai-csv", traffic.openai_csv, HOURLY),
    ("openrouter", traffic.openrouter_csv, HOURLY),
    ("openrouter", traffic.openrouter_activity, traffic.daily(MONTH, lambda back: (900 + back, 0, 500))),
    ("bedrock", traffic.bedrock, HOURLY),
    ("azure", traffic.azure, UNCACHED),
    ("azure", traffic.azure, traffic.daily(MONTH, lambda back: (900 + back, 0, 500))),
]


@pytest.mark.parametrize(("form", "write", "buckets"), TOLD)
def test_each_format_is_told_and_normalised(form: str, write: Write, buckets: Sequence[Bucket]) -> None:
    """Fresh, cached and output of every day are those of the traffic, whatever a format's input includes."""
    text = write(buckets)
    with closing(Export("x", cast(BinaryIO, io.BytesIO(text.encode())))) as export:
        assert format_of(export).name == form
    found = days_of(text)
    assert without_hours(found) == expected(buckets)
    first = found[TODAY - timedelta(days=30)]
    assert first is not None
    hours = [b.total for b in buckets if b.start.date() == TODAY - timedelta(days=30)]
    assert first.hours == (tuple(hours) if len(hours) == 24 else None)


counts = st.tuples(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
traffics = st.lists(counts, min_size=1, max_size=20).map(
    lambda tokens: traffic.daily(range(len(tokens), 0, -1), lambda back: tokens[back - 1])
)


@given(traffics)
@settings(max_examples=40)
def test_openai_and_anthropic_exports_of_one_traffic_are_the_same(buckets: list[Bucket]) -> None:
    """The one counts what was cached within the input, the other beside it."""
    assert days_of(traffic.openai(buckets)) == days_of(traffic.anthropic(buckets)) == expected(buckets)


@given(traffics, st.data())
@settings(max_examples=40)
def test_splitting_and_order_change_nothing(buckets: list[Bucket], data: st.DataObject) -> None:
    """Over files, over pages in one file, over the list that `jq -s` makes, in any order."""
    mixed = data.draw(st.permutations(buckets))
    cut = data.draw(st.integers(0, len(mixed)))
    write = data.draw(st.sampled_from([traffic.openai, traffic.anthropic]))
    pages = [write(part) for part in (mixed[:cut], mixed[cut:])]
    for exports in (pages, ["\n".join(pages)], [f"[{','.join(pages)}]"]):
        assert days_of(*exports, form="openai" if write is traffic.openai else "anthropic") == expected(buckets)


@given(st.integers(1, 400), st.integers(1, 3))
@settings(max_examples=20)
def test_a_chunk_may_end_anywhere(size: int, indent: int) -> None:
    """JSON is the same however the file is cut into reads."""
    text = json.dumps(json.loads(traffic.openai(DAILY[:3])), indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scripts.crossover.usage.stream.CHUNK", size)
        patch.setattr("scripts.crossover.usage.stream.SNIFFED", size)
        assert days_of(text, form="openai") == expected(DAILY[:3])


def test_models_are_chosen_by_name() -> None:
    other = traffic.daily(MONTH, lambda back: (7, 0, 0), model="gpt-4o-mini")
    assert days_of(traffic.openai([*DAILY, *other]), models=("gpt-4o-*",)) == expected(other)


def test_two_formats_add_up_where_both_cover_a_day() -> None:
    """Days that only one of them covers are left out at the ends."""
    early = traffic.daily(range(30, 5, -1), lambda back: (1, 1, 1))
    late = traffic.daily(range(20, 0, -1), lambda back: (10, 10, 10))
    found = days_of(traffic.openai(early), traffic.anthropic(late))
    assert list(found) == [TODAY - timedelta(days=back) for back in range(20, 5, -1)]
    assert set(found.values()) == {DayOfTokens(11, 11, 11)}


def test_days_without_traffic_are_no_gaps_where_buckets_say_so() -> None:
    """OpenAI's bucket of a quiet day has no results."""
    page = json.loads(traffic.openai(DAILY))
    page["data"][10]["results"] = []
    assert days_of(json.dumps(page))[DAILY[10].start.date()] == DayOfTokens(0, 0, 0)


def test_what_litellm_answered_itself_is_not_counted() -> None:
    """A hit of its own cache reached no model."""
    rows = [json.loads(line) for line in traffic.litellm_logs(HOURLY).splitlines()]
    for row in rows[::2]:
        row["cache_hit"] = "True"
    found = days_of("\n".join(map(json.dumps, rows)))
    assert without_hours(found) == expected(HOURLY[1::2])


def test_litellm_rows_of_other_ages_name_their_cached_tokens_elsewhere() -> None:
    """In usage_object, as OpenAI's details; as CSV, metadata is text."""
    details = {"usage_object": {"prompt_tokens_details": {"cached_tokens": 40}}}
    row = {"request_id": "r", "startTime": "", "model": "m", "prompt_tokens": 100, "completion_tokens": 5}
    rows = [
        {
            **row,
            "request_id": f"r{h}",
            "startTime": f"2026-11-20 {h:02}:10:00",
            "completion_tokens": 5,
            "metadata": details,
        }
        for h in (0, 23)
    ]
    told: list[Any] = [days_of(json.dumps(rows))]
    header = "request_id,startTime,model,prompt_tokens,completion_tokens,metadata"
    quoted = json.dumps(details).replace('"', '""')
    lines = [f'{r["request_id"]},{r["startTime"]},m,100,5,"{quoted}"' for r in rows]
    told.append(days_of("\n".join([header, *lines])))
    assert [next(iter(days.values())) for days in told] == [
        DayOfTokens(120, 80, 10, (105, *(0,) * 22, 105)),
    ] * 2


def test_more_hits_than_prompt_tokens_are_all_of_the_prompt() -> None:
    """Prometheus extrapolates each counter on its own."""
    answer = json.loads(traffic.prometheus(HOURLY[:24]))
    for series in answer["data"]["result"]:
        if series["metric"]["tokens"] == "cached":
            series["values"] = [[at, "1e6"] for at, _ in series["values"]]
    (day,) = days_of(json.dumps(answer)).values()
    assert day is not None
    assert (day.fresh, day.cached) == (0, sum(b.fresh + b.cached for b in HOURLY[:24]))
