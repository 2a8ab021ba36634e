"""The day that everything is judged by: program, pack and commands ask here, so that they agree."""

from __future__ import annotations

import os
from datetime import date, datetime, tzinfo

from strict.problems import Problems

VARIABLE = "CROSSOVER_TODAY"
"""Set to YYYY-MM-DD, it stands in for the clock."""


def today(zone: tzinfo | None = None) -> date:
    """That of the variable, else the clock's in `zone`, by default this computer's. Raises Problems."""
    given = os.environ.get(VARIABLE)
    try:
        return date.fromisoformat(given) if given else datetime.now(zone).date()
    except ValueError:
        raise Problems(f"{VARIABLE} is {given!r}, which is no date like 2026-11-22") from None
