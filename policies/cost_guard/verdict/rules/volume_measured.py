"""Rule volume-measured: a fleet that runs is judged by a measured volume."""

from __future__ import annotations

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import FRESH_DAYS, STALE_DAYS, Objection, Question, VerdictRule

YOUNG_FLEET_DAYS = 30


def find(asked: Question) -> Objection | None:
    """By how the volume is known: asserted, forecast or measured, and by the age of the fleet and of the data."""
    given, today = asked.proposal, asked.today
    counted = given.usage.to if given.usage else None
    if counted is not None and (age := (today - counted).days) > FRESH_DAYS:
        level, limit = (Level.BLOCK, STALE_DAYS) if age > STALE_DAYS else (Level.WARN, FRESH_DAYS)
        text = f"the volume is of {counted}, {age} days old (over {limit}); measure it again."
        return Objection(Level.BLOCK if level is Level.BLOCK else Level.WARN, text)
    if counted is not None and counted > today:
        return Objection(Level.WARN, f"the volume is dated {counted}, after {today}.")
    kind = given.volume_kind
    if kind == "measured":
        return None
    if kind == "forecast":
        return Objection(Level.WARN, "the volume is a forecast, not measured.")
    since = given.baseline.date if given.baseline else None
    if since is not None and (age := (today - since).days) > YOUNG_FLEET_DAYS:
        return Objection(
            Level.BLOCK,
            f"the volume is asserted, and the fleet runs since {since}, {age} days (over {YOUNG_FLEET_DAYS}): "
            f"measure it (crossover usage import).",
        )
    return Objection(Level.WARN, "the volume is asserted, not measured.")


RULE = VerdictRule(
    code="volume-measured",
    position=70,
    severity=Severity.MEDIUM,
    demand="A fleet that runs must be judged by a measured volume.",
    remedy="Run `crossover usage import` on what the fleet served, and name the file in workload.usage.",
    key=("workload", "kind"),
    asks=Question,
    find=find,
    repair_goes_through=True,
    only_for_bills=True,
)
