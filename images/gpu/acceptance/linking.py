"""Pure: are GPUs connected with one another as they should be? `dcgmi diag -r 2` passes with all NVLinks down
(NVIDIA/DCGM#198), so they are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator

from images.gpu.acceptance.evidence import Evidence
from images.gpu.acceptance.finding import Finding, Remedy

_BOARD = re.compile(r"SXM|HBM3|H200|B200|B300")
"""Names of GPUs that sit on a board with NVLinks: "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"."""
_CARDS = re.compile(r"PCIe|NVL")
_LINKS = ((re.compile(r"A100|A800"), 12), (re.compile(r"H100|H200|B200|B300"), 18))
"""NVLinks from each of eight GPUs to the switches."""
_BOARD_GPUS = 8
_INACTIVE = re.compile(r"inactive", re.IGNORECASE)


def judge_links(evidence: Evidence, switches: int) -> Iterator[Finding]:
    """NVLinks of a board of two GPUs or more, and the fabric that its switches make. A single GPU of one may have its
    links unused; cards need none."""
    cards = evidence.cards
    name = cards[0].name if cards else ""
    board = bool(switches or _BOARD.search(name)) and not _CARDS.search(name)
    if board and len(cards) > 1:
        yield from _topology(evidence, name)
        yield from _inactive(evidence)
    elif len(cards) > 1 and not _all_linked(evidence):
        yield Finding("its GPUs are connected by PCIe, not all by NVLink: tensor parallelism is slower")
    for row in evidence.of("fabric").rows:
        if len(row) == 3 and row[0].isdecimal():
            yield from _fabric(*row, board=board and len(cards) > 1)


def _topology(evidence: Evidence, name: str) -> Iterator[Finding]:
    cells = [(a, b, cell) for a, row in evidence.topology.items() for b, cell in row.items() if a < b]
    counts = [int(cell[2:]) for *_, cell in cells if re.fullmatch(r"NV\d+", cell)]
    most = max(counts, default=0)
    if len(evidence.cards) == _BOARD_GPUS:
        most = next((links for of, links in _LINKS if of.search(name)), most)
    wrong = [f"GPU {a}-{b} {cell}" for a, b, cell in cells if cell != f"NV{most}"]
    if not cells:
        if evidence.of("topology").status == 0:
            yield Finding("how its GPUs are connected is not told by `nvidia-smi topo -m`")
    elif wrong:
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        wanted = f"NV{most}" if most else "NVLinks"
        yield Finding(
            f"its GPUs are not all connected by {wanted}: {', '.join(wrong[:4])}{more} (nvidia-smi topo -m)",
            Remedy.REBOOT,
        )


def _inactive(evidence: Evidence) -> Iterator[Finding]:
    text = evidence.of("links").lines
    down = {gpu: sum(1 for s in states if _INACTIVE.search(s)) for gpu, states in evidence.links.items()}
    for gpu, count in down.items():
        if count:
            yield Finding(f"GPU {gpu} has {count} inactive NVLinks (nvidia-smi nvlink -s)", Remedy.REBOOT)
    if not any(down.values()) and (line := next((t for t in text if _INACTIVE.search(t)), "")):
        yield Finding(f'its NVLinks are inactive (nvidia-smi nvlink -s: "{line.strip()}")', Remedy.REBOOT)
    elif evidence.of("links").status == 0 and not evidence.links:
        yield Finding("nothing is told of its NVLinks by `nvidia-smi nvlink -s`")


def _fabric(gpu: str, state: str, status: str, *, board: bool) -> Iterator[Finding]:
    """A100 and cards have none to tell of."""
    if re.fullmatch(r"\[?(N/A|Not Supported)\]?", state, re.IGNORECASE):
        return
    if state == "Completed" and status in ("Success", "N/A", "[N/A]"):
        return
    what = f"GPU {gpu} has not joined the fabric (fabric.state {state}, fabric.status {status})"
    yield Finding(what, Remedy.REPAIR if board else Remedy.TOLD, "restart nvidia-fabricmanager there, and run again")


def _all_linked(evidence: Evidence) -> bool:
    return all(cell.startswith("NV") for row in evidence.topology.values() for cell in row.values())
