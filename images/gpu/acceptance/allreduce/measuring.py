"""An all-reduce is measured on a machine, once for what it has, and judged by a floor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.gpu.acceptance.finding import Finding, Remedy
from images.gpu.facts import GpuFacts
from images.remote.connection import Connection
from images.remote.errors import CommandFailed
from images.remote.scripts import Scripts
from images.remote.waiting import Waiting

RECORD = "state/allreduce.json"
"""The machine's record, below the root."""
SIZE_BYTES = 4 << 30
"""Large enough that a round is 30 ms and more, so that starting it does not count."""
ROUNDS = 20
LIMIT_S = 300
"""torch's import, NCCL's first connections and the rounds take about a minute."""
FLOORS_GB_PER_S = (("A100-SXM", 200.0), ("H100 80GB HBM3", 400.0))
"""GPU's name as nvidia-smi has it → the least bus bandwidth, in 10^9 bytes/s. They are ours, below what Azure's checks
of such nodes demand at 16 GB: 228 and 460 (Azure/azurehpc-health-checks, conf/nd96amsr_a100_v4.conf and
nd96isr_h100_v5.conf). Cards joined by PCIe have none."""
_FOLDER = Path(__file__).resolve().parent
_SCRIPTS = Scripts(_FOLDER)


@dataclass(frozen=True, slots=True)
class AllReduce:
    """What was measured, or why nothing was."""

    gb_per_s: float | None = None
    """Bus bandwidth, in 10^9 bytes/s; None where nothing was measured."""
    date: str = ""
    absent: str = ""
    wrong: str = ""
    """It failed: the line that says why."""


def bus_gb_per_s(count: int, size_bytes: float, seconds: float) -> float:
    """Of one all-reduce over `count` GPUs: 2 (n-1)/n × bytes / time, which does not depend on n where the links are the
    limit (NVIDIA/nccl-tests, doc/PERFORMANCE.md)."""
    return 2 * (count - 1) / count * size_bytes / seconds / 1e9


def floor_of(facts: GpuFacts, wanted: float | None) -> float | None:
    """The least bandwidth for those GPUs, in 10^9 bytes/s: what is wanted, else by their name."""
    if wanted is not None:
        return wanted
    name = facts.gpus[0].name if facts.gpus else ""
    return next((floor for part, floor in FLOORS_GB_PER_S if part in name), None)


def all_reduce(
    connection: Connection,
    root: str,
    python: str,
    facts: GpuFacts,
    engine: str,
    watch: Waiting,
    *,
    measure: bool,
    size_bytes: int = SIZE_BYTES,
    backend: str = "nccl",
) -> AllReduce:
    """Measured by `python`, the interpreter of the engine, whose version is `engine`; a second time only where GPUs,
    driver or engine are others. Without `measure` (the GPUs are taken) only an old figure is read. Raises
    CommandFailed, and what Connection.run raises."""
    count = len(facts.gpus)
    of = {"gpus": [(gpu.name, gpu.driver) for gpu in facts.gpus], "engine": engine, "bytes": size_bytes}
    key = hashlib.sha256(json.dumps(of).encode()).hexdigest()
    program = (str(count), str(size_bytes), str(ROUNDS), backend)
    result = _SCRIPTS.run(
        connection,
        "measure",
        args=[f"{root}/{RECORD}", key, "measure" if measure else "read", str(LIMIT_S), python, *program],
        stdin=(_FOLDER / "agent.py").read_bytes() if measure else b"",
        watch=watch,
        step="measuring an all-reduce",
    )
    try:
        return read(count, result.stdout)
    except (LookupError, ValueError, TypeError, ZeroDivisionError) as e:
        where = connection.host.where
        raise CommandFailed(f"{where}: its GPUs' all-reduce says nothing that can be read:\n{result.tail}") from e


def read(count: int, text: str) -> AllReduce:
    """Of what measure.sh says. Raises LookupError, ValueError, TypeError or ZeroDivisionError for what it does not."""
    lines = text.split("\n")
    if not text.strip():
        return AllReduce(absent="the GPUs serve")
    said: Mapping[str, Any] = json.loads([line for line in lines if line.strip()][-1])
    if "measured" in said:
        figures = said["measured"]
        return AllReduce(bus_gb_per_s(count, float(figures["bytes"]), float(figures["seconds"])), str(said["date"]))
    return AllReduce(absent=str(said["absent"])) if "absent" in said else AllReduce(wrong=str(said["wrong"]))


def judge_all_reduce(measured: AllReduce, floor: float | None, container: bool) -> Sequence[Finding]:
    """Pure. In a container nobody can reboot."""
    remedy = Remedy.GIVE_BACK if container else Remedy.REBOOT
    if measured.wrong:
        return [Finding(f"an all-reduce over the GPUs fails: {measured.wrong}", remedy)]
    if measured.gb_per_s is not None and floor is not None and measured.gb_per_s < floor:
        return [
            Finding(f"an all-reduce over the GPUs reaches {measured.gb_per_s:.0f} GB/s of at least {floor:g}", remedy)
        ]
    return []


def told(measured: AllReduce, floor: float | None) -> str:
    """For people, in one line."""
    if measured.gb_per_s is None:
        return f"not measured: {measured.absent}"
    least = "no floor is known for these GPUs" if floor is None else f"at least {floor:g}"
    return f"{measured.gb_per_s:.0f} GB/s ({least}) on {measured.date}"
