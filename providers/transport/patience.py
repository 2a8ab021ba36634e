"""How long a vendor's answer asks for patience, and how much of that it gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_S = 120.0
"""The longest that anybody waits at a vendor's word; then the vendor is asked again. Chosen: twice the longest window
that a vendor counts requests in (RunPod's minute)."""
SECONDS = re.compile(r"[0-9]{1,9}")


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds, 0 to MOST_S, from either form of Retry-After (RFC 9110, 10.2.3); None where it is absent or makes no
    sense. A date is reckoned from the answer's own Date, so that a wrong clock here does not count; from `now` (the
    present) where it has none."""
    given = headers.get("Retry-After", "").strip()
    if SECONDS.fullmatch(given):
        return min(float(given), MOST_S)
    until = _date(given)
    if until is None:
        return None
    since = _date(headers.get("Date", "")) or now or datetime.now(UTC)
    return min(max(0.0, (until - since).total_seconds()), MOST_S)


def _date(text: str) -> datetime | None:
    """An HTTP date, in UTC."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
