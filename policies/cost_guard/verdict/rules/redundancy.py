"""Rule redundancy: two nodes at least, in failure domains of their own."""

from __future__ import annotations

from cost_guard.arithmetic.placement import placement
from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, Question, VerdictRule


def find(asked: Question) -> Objection | None:
    """BLOCK below two nodes, and where no choice of candidates keeps the failure domains apart."""
    fleet = asked.proposal.scenario.fleet
    if fleet.node_count < 2:
        return Objection(Level.BLOCK, "one node is not redundant; a fleet needs at least 2 nodes.")
    ladders = {key: [(rung.cloud, rung.region) for rung in rungs] for key, rungs in fleet.ladders.items()}
    clouds = {cloud for rungs in ladders.values() for cloud, _ in rungs}
    smaller = {cloud for cloud in clouds if asked.catalogue.cloud(cloud).smaller_domains}
    if placement(ladders, fleet.max_per_failure_domain, smaller) is not None:
        return None
    domains = sorted({f"{cloud}/{region}" for rungs in ladders.values() for cloud, region in rungs})
    listed = ", ".join(domains[:6]) + (", …" if len(domains) > 6 else "")
    return Objection(
        Level.BLOCK,
        f"no choice of candidates keeps {fleet.node_count} nodes at {fleet.max_per_failure_domain} per failure domain "
        f"(cloud + region; the candidates offer {listed}); give them candidates in more regions or clouds, or raise "
        f"maxPerFailureDomain.",
    )


RULE = VerdictRule(
    code="redundancy",
    position=40,
    severity=Severity.HIGH,
    demand="A fleet needs two nodes, in failure domains of their own.",
    remedy="Add a node, or candidates in more regions or clouds, so that maxPerFailureDomain can be kept.",
    asks=Question,
    find=find,
)
