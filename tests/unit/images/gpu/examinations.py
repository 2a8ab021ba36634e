"""What examine.sh answers of healthy machines, and how a fault changes it.

Topology and NVLinks are captures (captures/README.md). The CSV rows are put together here in the form of captured ones:
synthetic values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from images.gpu.acceptance.evidence import Evidence, GpuAnswer
from images.gpu.acceptance.finding import Finding
from images.gpu.acceptance.judging import judge
from images.gpu.facts import GpuFacts
from tests.unit.images.gpu.situations import DEMAND, DRIVER, done

CAPTURES = Path(__file__).with_name("captures")
MODELS = {"a100": "NVIDIA A100-SXM4-80GB", "h100": "NVIDIA H100 80GB HBM3"}
FABRIC = {"a100": "[N/A], [N/A]", "h100": "Completed, Success"}
GENERATION = {"a100": 4, "h100": 5}


def captured(name: str) -> tuple[str, ...]:
    return tuple((CAPTURES / f"{name}.txt").read_text().splitlines())


def row(model: str, index: int) -> str:
    generation = GENERATION[model]
    modes = "Enabled, Enabled, 0, Disabled, P0"
    who = f"{index}, 00000000:{index + 1:02X}:00.0, {MODELS[model]}, {DRIVER}"
    return f"{who}, {modes}, {generation}, {generation}, 16, 16"


@dataclass(frozen=True)
class Machine:
    """A machine that was examined."""

    facts: GpuFacts
    evidence: Evidence

    def judged(self) -> tuple[Finding, ...]:
        return judge(self.facts, self.evidence, DEMAND)

    def answers(self, name: str, *lines: str, status: int = 0) -> Machine:
        return replace(self, evidence=Evidence({**self.evidence.answers, name: GpuAnswer(status, lines)}))

    def edited(self, name: str, old: str, new: str, line: int | None = None) -> Machine:
        """With `old` replaced in that line of an answer, or in all."""
        before = self.evidence.of(name).lines
        after = tuple(t.replace(old, new) if line in (None, n) else t for n, t in enumerate(before))
        assert after != before, (name, old)
        return self.answers(name, *after)

    def column(self, number: int, value: str, gpu: int | None = 3) -> Machine:
        """With another value in a column of nvidia-smi's query, of one GPU or of all."""

        def cells(index: int, line: str) -> str:
            found = line.split(", ")
            if gpu in (None, index):
                found[number] = value
            return ", ".join(found)

        return self.answers("gpu", *(cells(n, t) for n, t in enumerate(self.evidence.of("gpu").lines)))

    def but(self, **changes: object) -> Machine:
        return replace(self, facts=replace(self.facts, **changes))  # type: ignore[arg-type]


def healthy(model: str = "a100", count: int = 8) -> Machine:
    gpus = range(count)
    answers = {
        "gpu": tuple(row(model, n) for n in gpus),
        "rows": tuple(f"00000000:{n + 1:02X}:00.0, 0, 0" for n in gpus),
        "throttle": tuple(f"{n}, Not Active, Not Active, Not Active" for n in gpus),
        "fabric": tuple(f"{n}, {FABRIC[model]}" for n in gpus),
        "topology": captured(f"{model}.topo-m"),
        "links": captured(f"{model}.nvlink-s"),
        "cuda": (f"0 {count}",),
        "kernel": (),
    }
    facts = replace(done(), devices=("20b2" if model == "a100" else "2330",) * count)
    return Machine(facts, Evidence({name: GpuAnswer(0, lines) for name, lines in answers.items()}))


Fault = Callable[[Machine], Machine]
