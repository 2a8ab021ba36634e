"""What LiteLLM's `prompt_tokens` holds of a cache, which it does not say: decided by call type, provider and day.

Three conventions are in one table. `prompt_tokens` holds what was read from a cache and what was written to it (as
OpenAI counts); or what was read alone (releases after April 2025, BerriAI/litellm#9838; a row of 31 beside 1,253
written is in #15056); or neither (`anthropic_messages` and pass-through, #23342). A row with more cached than it holds
proves which; where none does, it holds both, or they are few. A day has one release, so its rows of one call type and
provider are alike.

Rows are read as holding both where they may. What the others then lack is added hour by hour once all are read: memory
grows with hours, models and call types, not with rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from cost_guard import wording
from cost_guard.scenario.measuring import listed
from cost_guard.scenario.usage import Traffic
from scripts.crossover.usage.record import LOGGED, Place, Record, Told

HOUR = timedelta(hours=1)
BOTH, WRITTEN = "read from and written to", "written to"
"""What `prompt_tokens` leaves out."""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """What a row tells of its input, and who wrote it."""

    call_type: str
    provider: str
    start: datetime
    width: timedelta
    model: str | None
    traffic: Traffic
    prompt: int
    read: int
    written: int
    place: Place


@dataclass(slots=True)
class _Day:
    """Rows of one call type, provider and day that told of a cache."""

    rows: int = 0
    proofs: dict[str, Place] = field(default_factory=dict)
    """The first row that proves what is left out."""
    doubts: dict[tuple[datetime, timedelta, str | None, Traffic], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    """Tokens read and written, of rows that were taken to hold them."""


class Conventions:
    """Of one export."""

    def __init__(self, export: str) -> None:
        self._export = export
        self._days: dict[tuple[str, str], dict[date, _Day]] = defaultdict(lambda: defaultdict(_Day))

    def split(self, row: PromptRow) -> tuple[int, int]:
        """(fresh, cached) of a row."""
        if not row.read and not row.written:
            return row.prompt, 0
        day = self._days[row.call_type, row.provider][row.start.date()]
        day.rows += 1
        if row.read > row.prompt:
            day.proofs.setdefault(BOTH, row.place)
            return row.prompt + row.written, row.read
        start = row.start.replace(minute=0, second=0, microsecond=0)
        doubt = day.doubts[start, row.width, row.model, row.traffic]
        doubt[0] += row.read
        if row.read + row.written > row.prompt:
            day.proofs.setdefault(WRITTEN, row.place)
            return row.prompt - row.read + row.written, row.read
        doubt[1] += row.written
        return row.prompt - row.read, row.read

    def settled(self) -> Iterator[Record | Told]:
        """What the rows lack by the convention of their day, and a word on it."""
        for (call_type, provider), days in self._days.items():
            for left_out in (BOTH, WRITTEN):
                found = {day: one for day, one in days.items() if _left_out(one) == left_out}
                if found:
                    records = [r for one in found.values() for r in self._lacking(call_type, provider, one, left_out)]
                    yield from records
                    yield Told(_words(call_type, provider, left_out, found, sum(record.fresh for record in records)))

    def _lacking(self, call_type: str, provider: str, day: _Day, left_out: str) -> Iterator[Record]:
        for (start, width, model, traffic), (read, written) in day.doubts.items():
            lacking = written + (read if left_out == BOTH else 0)
            if lacking:
                identity = f"cache {self._export} {call_type} {provider} {model} {start}"
                place = next(iter(day.proofs.values()))
                yield Record(start, width or LOGGED, model, lacking, 0, 0, identity, place, traffic)


def _left_out(day: _Day) -> str | None:
    return next((one for one in (BOTH, WRITTEN) if one in day.proofs), None)


def _words(call_type: str, provider: str, left_out: str, days: dict[date, _Day], added: int) -> str:
    who = f"{call_type or 'rows without a call type'} ({provider or 'no provider named'})"
    rows = wording.count(sum(day.rows for day in days.values()), "row")
    proof = next(iter(days.values())).proofs[left_out]
    return (
        f"prompt_tokens of {who} leaves out what was {left_out} a cache, on {listed(sorted(days))}: {proof} proves it; "
        f"{rows} are read so, which adds {wording.tokens(Decimal(added))} tokens to those that prove nothing"
    )
