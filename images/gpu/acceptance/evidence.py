"""What GPUs say of themselves: the answers of examine.sh."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from images.remote.mask import colourless

_LINK = re.compile(r"^GPU (\d+):|^\s*Link (\d+): (.*)$")


@dataclass(frozen=True, slots=True)
class GpuAnswer:
    """Of one question: its exit status, None where it was not asked, and its lines."""

    status: int | None = None
    lines: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Of CSV without quotes."""
        return tuple(tuple(cell.strip() for cell in line.split(",")) for line in self.lines)


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU, in nvidia-smi's words: a value may be "[N/A]", "[GPU is lost]" and more."""

    index: str
    bus: str
    """As "0000:05:00"."""
    name: str
    driver: str
    persistence: str
    ecc: str
    uncorrected: str
    mig: str
    pstate: str
    generation: str
    generation_most: str
    width: str
    width_most: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All answers, by question: gpu, rows, throttle, fabric, topology, links, cuda, kernel."""

    answers: Mapping[str, GpuAnswer] = field(default_factory=dict)

    def of(self, name: str) -> GpuAnswer:
        """The answer, an empty one where there is none."""
        return self.answers.get(name, GpuAnswer())

    @property
    def cards(self) -> tuple[Card, ...]:
        """All GPUs that nvidia-smi knows, lost ones, too."""
        rows = (row for row in self.of("gpu").rows if len(row) == 13 and row[0].isdecimal())
        return tuple(Card(row[0], bus(row[1]), *row[2:]) for row in rows)

    @property
    def topology(self) -> dict[str, dict[str, str]]:
        """GPU → other GPU → how they are connected, as {"0": {"1": "NV12"}}."""
        lines = [colourless(line).split("\t") for line in self.of("topology").lines]
        head = next((line for line in lines if "GPU0" in line), [])
        found = {}
        for line in lines:
            if re.fullmatch(r"GPU\d+", line[0]) and line is not head:
                cells = dict(zip(head, line, strict=False))
                found[line[0][3:]] = {
                    name[3:]: cell.strip()
                    for name, cell in cells.items()
                    if re.fullmatch(r"GPU\d+", name) and name != line[0]
                }
        return found

    @property
    def links(self) -> dict[str, list[str]]:
        """GPU → the state of each of its NVLinks, as {"0": ["25.781 GB/s", "<inactive>"]}."""
        found: dict[str, list[str]] = {}
        gpu = ""
        for line in self.of("links").lines:
            if match := _LINK.match(line):
                gpu = match[1] or gpu
                states = found.setdefault(gpu, [])
                if match[3] is not None:
                    states.append(match[3].strip())
        return found


def bus(text: str) -> str:
    """A PCI address as all of them write it: of "00000000:CB:00.0", "0000:cb:00"."""
    domain, _, rest = text.strip().lower().partition(":")
    return f"{domain[-4:]}:{rest.partition('.')[0]}"


def parse(text: str) -> Evidence:
    """The answers of examine.sh. Questions that it does not know are kept."""
    lines: dict[str, list[str]] = {}
    statuses: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("\t")
        if name == "ran":
            of, _, status = rest.partition("\t")
            statuses[of] = int(status) if status.isdecimal() else 1
        elif name:
            lines.setdefault(name, []).append(rest)
    return Evidence({name: GpuAnswer(status, tuple(lines.get(name, ()))) for name, status in statuses.items()})
