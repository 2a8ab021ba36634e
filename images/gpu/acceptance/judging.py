"""Pure: what is wrong with a machine's GPUs. Judged by values: nvidia-smi's queries end with 0 over a lost GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator

from images.bundle import GpuDemand
from images.gpu.acceptance.cards import judge_cards
from images.gpu.acceptance.evidence import Evidence
from images.gpu.acceptance.finding import Finding, Remedy
from images.gpu.acceptance.kernel import judge_kernel
from images.gpu.acceptance.linking import judge_links
from images.gpu.actions import GIVE_BACK
from images.gpu.facts import GpuFacts

_QUESTIONS = {
    "gpu": "nvidia-smi's query",
    "rows": "remapped rows of memory",
    "throttle": "reasons of throttling",
    "fabric": "the fabric's state",
    "topology": "how GPUs are connected",
    "links": "NVLinks",
    "cuda": "whether CUDA starts",
    "kernel": "the kernel's log",
}
_FATAL = ("gpu", "cuda")
"""Without these a machine is not accepted."""
_NO_PROGRAM = (126, 127)
"""Statuses of a program that is not there: python3, for one, of a machine that is its owner's."""
_CUDA = {
    100: "no CUDA-capable device is detected",
    802: "system not yet initialized: the fabric manager is not ready, or is of another version than the driver",
    803: "system driver mismatch: the driver's libraries and its module differ",
    804: "forward compatibility on hardware that does not have it",
}
"""CUresult → what it means; 802 as pytorch#35710."""


def judge(facts: GpuFacts, evidence: Evidence, demand: GpuDemand) -> tuple[Finding, ...]:
    """All that is found, what fails first. Nothing on a healthy machine."""
    found = [
        *_kernel(facts, evidence),
        *_count(facts, evidence, demand),
        *_promised(evidence, demand),
        *judge_cards(evidence),
        *_versions(facts, evidence),
        *judge_links(evidence, facts.switches),
        *_cuda(evidence),
        *_unanswered(evidence),
    ]
    if facts.container:
        found = [_hosted(finding) for finding in found]
    return tuple(sorted(found, key=lambda finding: not finding.fails))


def _kernel(facts: GpuFacts, evidence: Evidence) -> Iterator[Finding]:
    """In a container the log is its host's: of others' GPUs, too, and of the time before we came. So it is told, and
    what is wrong now is seen by the values."""
    gpus = {card.bus: card.index for card in evidence.cards}
    for finding in judge_kernel(evidence.of("kernel").lines, gpus):
        yield Finding(finding.what) if facts.container else finding


def _count(facts: GpuFacts, evidence: Evidence, demand: GpuDemand) -> Iterator[Finding]:
    """A container sees its host's PCI bus, with GPUs of others on it."""
    cards = evidence.cards
    if not cards:
        return
    if len(cards) < len(facts.devices) and not facts.container:
        yield Finding(f"{len(facts.devices)} GPUs are on its PCI bus, and {len(cards)} answer", Remedy.REBOOT)
    elif len(cards) < demand.count:
        yield Finding(f"{len(cards)} GPUs answer, and {demand.count} are needed (tensorParallelSize)", Remedy.GIVE_BACK)
    for what, values in (("models", {card.name for card in cards}), ("PCI ids", set(facts.devices))):
        if len(values) > 1 and not facts.container:
            yield Finding(f"its GPUs are not alike, by {what}: {', '.join(sorted(values))}", Remedy.GIVE_BACK)


def _promised(evidence: Evidence, demand: GpuDemand) -> Iterator[Finding]:
    """By the words of its name: a card is called "NVIDIA A100-SXM4-80GB", or "NVIDIA A100 80GB PCIe"."""
    cards = evidence.cards
    if not cards or not demand.promised:
        return
    words = set(re.split(r"[ -]", cards[0].name))
    if not any(set(sold.gpu.split()) <= words and sold.count == len(cards) for sold in demand.promised):
        sold = " or ".join(map(str, demand.promised))
        yield Finding(f"it has {len(cards)} × {cards[0].name}, and was rented as {sold}", Remedy.GIVE_BACK)


def _versions(facts: GpuFacts, evidence: Evidence) -> Iterator[Finding]:
    """Of one version: what runs, what is on the disk, the library, and the fabric manager where one runs."""
    branch = (facts.driver or "").partition(".")[0]
    fabric = facts.package("nvidia-fabricmanager", f"nvidia-fabricmanager-{branch}")
    versions = {
        "nvidia-smi": ", ".join(sorted({card.driver for card in evidence.cards if card.driver[:1].isdecimal()})),
        "the module that runs": facts.loaded,
        "the module on the disk": facts.module,
        "its library": facts.library,
        "its fabric manager": fabric.upstream if fabric and facts.switches else "",
    }
    # A library whose link leads nowhere further is "1".
    known = {what: version for what, version in versions.items() if "." in version}
    if len(set(known.values())) > 1:
        told = ", ".join(f"{what} {version}" for what, version in known.items())
        yield Finding(f"its driver is not of one version: {told}", Remedy.REBOOT)
    unit = facts.unit("nvidia-fabricmanager")
    if facts.switches and not facts.container and unit.active != "active":
        yield Finding(f"nvidia-fabricmanager is {unit.active or 'not there'}", Remedy.REPAIR)


def _cuda(evidence: Evidence) -> Iterator[Finding]:
    answer = evidence.of("cuda")
    words = answer.lines[-1].split() if answer.status == 0 and answer.lines else []
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return  # told by `_unanswered`
    status, count = (int(word) for word in words)
    if status:
        remedy = Remedy.REPAIR if status == 802 else Remedy.REBOOT
        how = "look at `systemctl status nvidia-fabricmanager`; where there is none, the host's is at fault"
        meaning = _CUDA.get(status, "unknown")
        yield Finding(f"CUDA does not start: error {status} ({meaning})", remedy, how if status == 802 else "")
    elif count != len(evidence.cards):
        yield Finding(f"CUDA sees {count} GPUs, and nvidia-smi {len(evidence.cards)}", Remedy.REBOOT)


def _unanswered(evidence: Evidence) -> Iterator[Finding]:
    """What could not be found out is told, never passed in silence."""
    for name, what in _QUESTIONS.items():
        answer = evidence.of(name)
        empty = name in _FATAL and not answer.lines
        if answer.status == 0 and not empty:
            continue
        why = "it was not asked" if answer.status is None else f"status {answer.status}"
        if answer.status in (124, 137):
            why = "it did not answer in time"
        said = f': "{answer.lines[-1].strip()[:200]}"' if answer.lines else ""
        fatal = Remedy.REBOOT if name in _FATAL and answer.status not in _NO_PROGRAM else Remedy.TOLD
        yield Finding(f"{what} could not be found out ({why}{said})", fatal)


def _hosted(finding: Finding) -> Finding:
    """In a container nothing can be mended."""
    if not finding.fails:
        return finding
    how = f"the driver and the GPUs are its host's. {GIVE_BACK}"
    return Finding(finding.what, Remedy.GIVE_BACK, how)
