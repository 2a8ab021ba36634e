"""Rule capacity: the nodes can serve the projected peak."""

from __future__ import annotations

from cost_guard import wording
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, ReadingQuestion, VerdictRule
from cost_guard.verdict.words import volume_words
from cost_guard.wording import DOWN, UP, to_decimal


def find(asked: ReadingQuestion) -> Objection | None:
    """BLOCK where the peak exceeds all nodes; WARN where it exceeds all but one, or the plan asks for more nodes."""
    reading, scenario = asked.judged.reading, asked.proposal.scenario
    fleet, given, needed = scenario.fleet, len(reading.nodes), reading.nodes_needed
    peak, rate = reading.peak_tokens_per_second, reading.tokens_per_second
    peak_words = f"the peak of {wording.rate(to_decimal(peak), UP)} ({scenario.workload.peak_to_mean:f} × the mean)"
    have = wording.count(given, "node")
    spare = reading.spare(needed - given)
    asks = f"{wording.percent(fleet.target_utilisation)} utilisation"
    if peak > rate:
        limit = reading.volume * rate / peak
        return Objection(
            Level.BLOCK,
            f"{peak_words} is above the {wording.rate(to_decimal(rate), DOWN)} of {have}. It would fit at ≤ "
            f"{volume_words(limit, DOWN)} tokens/month, or with the {wording.count(needed, 'node')} that {asks} and "
            f"{spare} spare ask for.",
        )
    trouble = []
    if needed > given:
        trouble.append(
            f"{asks} at the peak and {spare} spare ask for {wording.count(needed, 'node')}, the fleet has {given}"
        )
    if not reading.survives_one_loss:
        trouble.append(f"{peak_words} is more than the fleet serves after the loss of one of {have}")
    return Objection(Level.WARN, "; ".join(trouble) + ".") if trouble else None


RULE = VerdictRule(
    code="capacity",
    position=30,
    severity=Severity.HIGH,
    demand="The nodes must be able to serve the projected peak.",
    remedy="Add nodes, or plan less volume for them: the violation names how many, and how much.",
    asks=ReadingQuestion,
    find=find,
)
