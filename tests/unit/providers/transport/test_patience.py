"""What a vendor may ask for in the way of patience, and how much of it it gets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.transport.patience import MOST_S, retry_after_s

NOON = "Mon, 30 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 12 ", 12.0),
        ("3600", MOST_S),
        ("999999999", MOST_S),
        ("1" + "0" * 20, None),
        ("²", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Mon, 30 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 30 Nov 2026 11:59:30 GMT", 0.0),
        ("Fri, 31 Dec 2049 23:59:59 GMT", MOST_S),
        ("Fri, 99 Dec 2049 23:59:59 GMT", None),
    ],
)
def test_finding_12_only_whole_seconds_and_dates_count_and_never_more_than_two_minutes(
    given: str, seconds: float | None
) -> None:
    """Audit 12: `isdigit` took ² for a number, and 3600 or a date in 2036 hung an `up` for as long."""
    assert retry_after_s({"Retry-After": given, "Date": NOON}) == seconds


def test_finding_12_a_date_counts_from_the_answers_own_date_whatever_the_clock_here_says() -> None:
    """Audit 12: a clock that is a year slow waited a year."""
    a_year_ago = datetime(2025, 11, 30, 12, tzinfo=UTC)
    asked = "Mon, 30 Nov 2026 12:00:30 GMT"
    assert retry_after_s({"Retry-After": asked, "Date": NOON}, now=a_year_ago) == 30.0
    assert retry_after_s({"Retry-After": asked}, now=datetime(2026, 11, 30, 12, 0, 10, tzinfo=UTC)) == 20.0


def test_without_the_header_nothing_is_asked_for() -> None:
    assert retry_after_s({}) is None
