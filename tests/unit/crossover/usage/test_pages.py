"""A page that says that more follows is no whole export: what it awaits must be there, or nothing is imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.crossover.usage import traffic

Imported = Callable[..., tuple[int, str]]
DAILY = traffic.daily(range(30, 0, -1), lambda back: (900, 300, 500))
HOURS = traffic.hourly([2, 1], lambda *_: (9, 3, 5))
WHOLE = round(1700 * 730 / 24)


def page(first: int, last: int, more: bool, write: Callable[..., str] = traffic.openai) -> str:
    """The days from number `first` to before number `last` of the thirty, as one page."""
    found: dict[str, Any] = json.loads(write(DAILY[first:last]))
    return json.dumps({**found, "has_more": more, "next_page": "page_x" if more else None})


@pytest.mark.parametrize("write", [traffic.openai, traffic.anthropic])
def test_a_page_without_the_next_one_is_refused(imported: Imported, write: Callable[..., str]) -> None:
    """Public bug 14: twenty days would be a measured volume, ten missing in silence. Day 20 of 30 is 2026-11-12."""
    code, output = imported({"e.json": page(0, 20, True, write)})
    assert (code, len(output.splitlines())) == (3, 1)
    assert (
        "e.json:1: has_more: says that more follows, but no page that was given begins with 2026-11-12T00:00" in output
    )


def test_pages_that_follow_one_another_are_whole_in_any_form(imported: Imported) -> None:
    """As files in any order, one behind the other in a file, or in the list that `jq -s` makes."""
    first, second, third = page(0, 10, True), page(10, 20, True), page(20, 30, False)
    for files in (
        {"a.json": third, "b.json": first, "c.json": second},
        {"a.json": f"{first}\n{second}\n{third}"},
        {"a.json": f"[{first},{second},{third}]"},
    ):
        code, output = imported(files, "--json")
        assert (code, json.loads(output)["tokensPerMonth"]) == (0, WHOLE)


def test_a_page_that_is_missing_in_the_middle_is_named(imported: Imported) -> None:
    """Three days of thirty would pass as gaps."""
    code, output = imported({"a.json": page(0, 10, True), "b.json": page(13, 30, False)})
    assert (code, "a.json:1: has_more: " in output, "2026-11-02T00:00" in output) == (3, True, True)


def test_what_follows_today_is_not_awaited(imported: Imported) -> None:
    """Today is never counted."""
    assert imported({"e.json": page(0, 30, True)})[0] == 0


def test_a_page_that_says_nothing_of_more_is_whole(imported: Imported) -> None:
    found = json.loads(page(0, 30, False))
    assert imported({"e.json": json.dumps({"data": found["data"]})})[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"has_more": "yes"}, "has_more: must be true or false"),
        ({"data": [], "has_more": True}, "has_more: says that more follows, of a page without buckets"),
    ],
)
def test_a_page_that_cannot_be_told_is_refused(imported: Imported, change: dict[str, Any], said: str) -> None:
    code, output = imported({"e.json": json.dumps({**json.loads(page(0, 30, False)), **change})}, "--format", "openai")
    assert (code, said in output) == (3, True)


def test_pages_of_litellm_are_counted_by_it(imported: Imported) -> None:
    """/spend/logs/v2 says how many pages there are."""
    hours = traffic.hourly(range(30, 0, -1), lambda back, hour: (90, 30, 50))
    rows = [json.loads(line) for line in traffic.litellm_logs(hours).splitlines()]
    half = len(rows) // 2
    pages = [
        json.dumps({"data": part, "total": len(rows), "page": n + 1, "page_size": half, "total_pages": 2})
        for n, part in enumerate((rows[:half], rows[half:]))
    ]
    assert imported({"a.json": pages[1], "b.json": pages[0]})[0] == 0


def test_a_first_page_of_litellm_alone_is_refused(imported: Imported) -> None:
    rows = [
        json.loads(line) for line in traffic.litellm_logs(traffic.hourly([2, 1], lambda *_: (9, 3, 5))).splitlines()
    ]
    text = json.dumps({"data": rows, "total": 96, "page": 1, "page_size": 48, "total_pages": 2})
    code, output = imported({"a.json": text}, "--forecast")
    assert (code, "total_pages: says that more follows" in output, "page 2 of 2 (96 rows)" in output) == (3, True, True)


def test_events_of_cloudwatch_hold_the_logs_as_text(imported: Imported) -> None:
    events = [{"timestamp": 1, "message": line} for line in traffic.bedrock(HOURS).splitlines()]
    whole = {"a.json": json.dumps({"events": events, "searchedLogStreams": []})}
    assert imported(whole, "--forecast")[0] == 0


def test_a_token_of_cloudwatch_is_awaited(imported: Imported) -> None:
    events = [{"timestamp": 1, "message": line} for line in traffic.bedrock(HOURS).splitlines()]
    code, output = imported({"a.json": json.dumps({"events": events, "nextToken": "Bxkq6k"})}, "--forecast")
    assert (code, "nextToken: says that more follows, but no page that was given begins with Bxkq6k" in output) == (
        3,
        True,
    )
