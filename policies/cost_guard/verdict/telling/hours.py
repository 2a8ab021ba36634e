"""Whether hourly data would decide: a peak that was assumed from days may be what blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cost_guard.codes import Level
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.usage import with_usage
from cost_guard.verdict.verdict import Verdict


def told_of_hours(verdict: Verdict, proposal: Proposal, again: Callable[[Proposal], Verdict]) -> Verdict:
    """The verdict, with a note where it blocks on a peak that its usage file assumes and would not on the least peak
    that the file's days allow. `again` judges; it is asked only about a block on such a peak."""
    usage = proposal.usage
    even = usage.with_even_days if usage is not None else None
    if verdict.level is not Level.BLOCK or usage is None or even is None:
        return verdict
    other = again(replace(proposal, scenario=with_usage(proposal.scenario, even), usage=even))
    if other.level is Level.BLOCK:
        return verdict
    note = (
        f"Hourly data would decide: peakToMean {usage.peak_to_mean:f} is assumed from days, and with even hours "
        f"({even.peak_to_mean:f}) this would be {other.level}. Export usage by the hour and import it again."
    )
    return replace(verdict, notes=(note, *verdict.notes))
