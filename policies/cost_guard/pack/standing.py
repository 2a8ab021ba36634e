"""What holds while the pack runs: the day, the waivers, whose program it is, and which violations were seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cost_guard.codes import Level
from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import WaiverError, load_waivers
from cost_guard.scenario.waivers import Waivers
from strict import day
from strict.problems import Problems

if TYPE_CHECKING:  # to start faster
    from cost_guard.scenario.proposal import Proposal

ROOT = Path(__file__).resolve().parents[3]
"""The folder in which the pack's folder lies: waivers.yaml is there."""

seen: set[tuple[str, str]] = set()
"""Code and URN of every violation that was seen."""


@dataclass
class ProgramFacts:
    """What the pack learns of the program while it runs."""

    is_ours: bool = True
    """Whether the plan has an Install of ours: known when a preview or an update ends."""
    fleets: dict[str, Proposal] = field(default_factory=dict)
    """Fleet URN → what it proposes, under the waivers, as of the last time it was judged."""


program = ProgramFacts()


def settled(code: str, message: str, urn: str) -> tuple[Level, str]:
    """A violation as it stands under the waivers of today: BLOCK or WAIVED, and its words."""
    seen.add((code, urn))
    now, waivers = standing_day(), standing_waivers()
    if code in codes().never_waived:
        return Level.BLOCK, message
    if isinstance(waivers, WaiverError):
        return Level.BLOCK, f"{message} ({waivers.lines[0]})"
    if now is None:
        return Level.BLOCK, f"{message} ({day.VARIABLE} must be a date as YYYY-MM-DD)"
    return waivers.settle(code, message, urn, now)


def standing_day() -> date | None:
    """None where the variable holds no date."""
    try:
        return day.today()
    except Problems:
        return None


@lru_cache(maxsize=1)
def standing_waivers() -> Waivers | WaiverError:
    """Those of the file, or why it cannot be used."""
    try:
        return load_waivers(ROOT, codes)
    except WaiverError as error:
        return error
