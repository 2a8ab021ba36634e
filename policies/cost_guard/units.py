"""What a month is."""

from __future__ import annotations

HOURS_PER_MONTH = 730
"""8,760 hours a year / 12."""
SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600
"""H of the arithmetic."""
