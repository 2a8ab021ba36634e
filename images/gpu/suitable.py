"""Pure: can these GPUs and this driver serve, as they are?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from images.bundle import GpuDemand
from images.gpu.actions import GIVE_BACK, Refusal
from images.gpu.facts import GpuFacts, branch
from images.gpu.matrix import pinned

_STATUSES = {
    9: "the driver is not loaded",
    12: "the driver's library libnvidia-ml is not there",
    15: "a GPU is lost",
    18: "the driver's library and its kernel module are of different versions",
    124: "it did not answer within 60 s",
    139: "it crashed",
}
"""nvidia-smi's exit status → what it means. 9, 12, 15: the real 535 and 550. 18: reported."""


def unsuitable(facts: GpuFacts, demand: GpuDemand, matrix: Mapping[str, Any]) -> Refusal | None:
    """The first thing that stands in the way, cheap and telling ones first; None where nothing does."""
    remedy = _remedy(facts, demand)
    if facts.smi is None:
        return Refusal("nvidia-smi is not there, so no NVIDIA driver is in reach", remedy)
    if facts.smi != 0:
        meaning = _STATUSES.get(facts.smi, "unknown")
        said = f' and says "{facts.smi_says}"' if facts.smi_says else ""
        return Refusal(f"nvidia-smi ends with status {facts.smi} ({meaning}){said}", remedy)
    lost = [str(number) for number, gpu in enumerate(facts.gpus) if gpu.lost]
    if lost:
        return Refusal(f"GPU {', '.join(lost)} of {len(facts.gpus)} is lost (nvidia-smi)", remedy)
    if len(facts.gpus) < demand.count:
        return Refusal(
            f"{len(facts.gpus)} GPUs answer, and {demand.count} are needed (tensorParallelSize)",
            f"Choose a SKU with {demand.count} GPUs, or lower serving.tensorParallelSize. {remedy}",
        )
    return _driver(facts, demand, matrix, remedy) or _fabric(facts, remedy)


def too_old(version: str, demand: GpuDemand, matrix: Mapping[str, Any]) -> str:
    """Why a driver of that version will not do; empty if it will."""
    if branch(version) >= demand.least_driver:
        return ""
    choice = pinned(matrix)
    return (
        f"its NVIDIA driver is {version or 'unknown'}, and vLLM {choice.vllm} is built for CUDA {choice.cuda}, which "
        f"needs branch {demand.least_driver} or newer"
    )


def _driver(facts: GpuFacts, demand: GpuDemand, matrix: Mapping[str, Any], remedy: str) -> Refusal | None:
    versions = sorted({gpu.driver for gpu in facts.gpus})
    if len(versions) > 1:
        return Refusal(f"its GPUs report several drivers: {', '.join(versions)}", remedy)
    reason = too_old(versions[0] if versions else facts.driver, demand, matrix)
    return Refusal(reason, remedy) if reason else None


def _fabric(facts: GpuFacts, remedy: str) -> Refusal | None:
    """In a container the fabric manager is the host's, and not to be seen."""
    unit = facts.unit("nvidia-fabricmanager")
    if facts.container or not facts.switches or unit.active == "active":
        return None
    state = unit.active if unit.there else "not there"
    return Refusal(
        f"it has {facts.switches} NVSwitches and nvidia-fabricmanager is {state or 'unknown'}: CUDA would end with "
        "error 802, system not yet initialized",
        remedy,
    )


def _remedy(facts: GpuFacts, demand: GpuDemand) -> str:
    if facts.container:
        return f"The driver is the host's, and cannot be mended from a container. {GIVE_BACK}"
    if not demand.install:
        return "This machine's driver is its owner's, and nothing there is touched: mend it and run again"
    return f"Look at `journalctl -k` and `nvidia-smi` there (crossover ssh NODE). {GIVE_BACK}"
