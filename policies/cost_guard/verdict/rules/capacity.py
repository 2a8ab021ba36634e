"""Rule capacity: the nodes can serve the projected peak."""

from __future__ import annotations

from fractions import Fraction

from cost_guard import wording
from cost_guard.arithmetic.breakeven import to_decimal
from cost_guard.arithmetic.capacity import peak_tokens_per_second
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import CaseQuestion, Objection, VerdictRule
from cost_guard.verdict.words import volume_words
from cost_guard.wording import DOWN, UP


def find(asked: CaseQuestion) -> Objection | None:
    """BLOCK where the peak exceeds all nodes; WARN where it exceeds all but one, or the plan asks for more nodes."""
    case = asked.case
    stairs, volume, rate = case.stairs, case.volume, Fraction(case.tokens_per_second)
    work, fleet = case.scenario.workload, case.scenario.fleet
    peak = peak_tokens_per_second(volume, work.peak_to_mean)
    needed = stairs.nodes_at(volume)
    peak_words = f"the peak of {wording.rate(to_decimal(peak), UP)} ({work.peak_to_mean:f} × the mean)"
    have = wording.count(stairs.nodes, "node")
    utilised = f"{wording.percent(fleet.target_utilisation)} utilisation"
    if peak > stairs.nodes * rate:
        limit = volume * stairs.nodes * rate / peak
        return Objection(
            Level.BLOCK,
            f"{peak_words} is above the {wording.rate(to_decimal(stairs.nodes * rate), DOWN)} of {have}. It would fit "
            f"at ≤ {volume_words(limit, DOWN)} tokens/month, or with the {wording.count(needed, 'node')} that "
            f"{utilised} and {stairs.spare} spare ask for.",
        )
    trouble = []
    if needed > stairs.nodes:
        trouble.append(
            f"{utilised} at the peak and {stairs.spare} spare ask "
            f"for {wording.count(needed, 'node')}, the fleet has {stairs.nodes}"
        )
    if not case.survives_one_loss:
        trouble.append(f"{peak_words} is more than the fleet serves after the loss of one of {have}")
    return Objection(Level.WARN, "; ".join(trouble) + ".") if trouble else None


RULE = VerdictRule(
    code="capacity",
    position=30,
    severity=Severity.HIGH,
    demand="The nodes must be able to serve the projected peak.",
    remedy="Add nodes, or plan less volume for them: the violation names how many, and how much.",
    asks=CaseQuestion,
    find=find,
)
