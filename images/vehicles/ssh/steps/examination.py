"""A machine's GPUs are whole, or it serves nothing."""

from __future__ import annotations

from images.gpu.acceptance.evidence import Evidence
from images.gpu.acceptance.examining import examine
from images.gpu.acceptance.finding import Finding, Remedy
from images.gpu.acceptance.judging import judge
from images.remote.errors import UnsuitableMachine
from images.vehicles.ssh.steps.installation import Installation

GPUS_FOUND = "gpu checks"
"""What of `found` says how the examination went."""


def examine_gpus(under_way: Installation) -> None:
    """Asks the GPUs that the step before found, and tells all that is not as it should be. Also on a node that serves:
    it takes nothing from it. Nobody is asked for a bundle without a demand. Raises UnsuitableMachine, before anything
    is started, and stops nothing that runs."""
    facts, demand = under_way.gpus, under_way.layout.bundle.gpu
    if facts is None or demand is None:
        return
    evidence = examine(under_way.connection, under_way.watch)
    findings = judge(facts, evidence, demand)
    for finding in findings:
        if not finding.fails:
            under_way.say(f"GPUs: {finding}")
    if failing := [finding for finding in findings if finding.fails]:
        raise UnsuitableMachine(f"{under_way.layout.host.where} is not accepted. {_sentences(failing)}")
    under_way.found[GPUS_FOUND] = _passed(evidence, findings)


def _sentences(findings: list[Finding]) -> str:
    """A machine that is to be given back needs no reboot: what else was found is then evidence alone."""
    back = any(finding.remedy is Remedy.GIVE_BACK for finding in findings)
    texts = (f.what if back and f.remedy is Remedy.REBOOT else str(f) for f in findings)
    return ". ".join(f"{text[0].upper()}{text[1:]}" for text in texts)


def _passed(evidence: Evidence, findings: tuple[Finding, ...]) -> str:
    told = f"; {'; '.join(finding.what for finding in findings)}" if findings else ""
    return f"passed by {len(evidence.cards)} GPUs{told}"
