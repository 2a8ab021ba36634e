"""Pure: each GPU on its own: is it there, its memory, its modes, its clocks and its way to the computer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from images.gpu.acceptance.evidence import Card, Evidence, bus
from images.gpu.acceptance.finding import Finding, Remedy
from images.gpu.facts import LOST

_HELD_TO_ALL = re.compile(r"A100|A800|H100|H800|H200|B200|B300")
"""GPUs that have ECC on and 16 lanes as they are sold. Others may have neither (recalled, not cited): workstations'
come with ECC off, and some clouds give half the lanes."""
_LEAST_GENERATION = 3
"""DCGM's diag-skus.yaml asks for PCIe 3 at least, of A100 and H100."""
_THROTTLED = (
    ("is slowed down by the hardware, for its heat", Remedy.GIVE_BACK),
    ("is slowed down by the hardware's power brake", Remedy.GIVE_BACK),
    ("is slowed down by the driver, for its heat", Remedy.TOLD),
)
"""In the order that examine.sh asks for. A power cap and an idle clock are as they should be, and are not asked for."""


def judge_cards(evidence: Evidence) -> Iterator[Finding]:
    """Of all GPUs. Values that are none are told together."""
    unknown: dict[str, list[str]] = {}
    for card in evidence.cards:
        yield from _card(card, unknown)
    yield from _rows(evidence, unknown)
    yield from _throttling(evidence, unknown)
    yield from (Finding(f"nvidia-smi does not tell {what} of GPU {', '.join(of)}") for what, of in unknown.items())


def _card(card: Card, unknown: dict[str, list[str]]) -> Iterator[Finding]:
    name = f"GPU {card.index}"
    values = (card.persistence, card.ecc, card.uncorrected, card.mig, card.pstate, card.generation, card.width)
    if lost := next((value for value in values if LOST.search(value)), ""):
        yield Finding(f"{name} is lost (nvidia-smi: {lost})", Remedy.REBOOT)
        return
    if card.persistence == "Disabled":
        yield Finding(f"{name} has persistence off: its driver is loaded anew whenever nothing runs")
    if card.ecc == "Disabled":
        remedy = Remedy.REPAIR if _HELD_TO_ALL.search(card.name) else Remedy.TOLD
        yield Finding(f"{name} has ECC off", remedy, "`nvidia-smi -e 1` there, and reboot it")
    elif card.ecc != "Enabled":
        unknown.setdefault("ECC's mode", []).append(card.index)
    elif not card.uncorrected.isdecimal():
        unknown.setdefault("ECC's uncorrected errors", []).append(card.index)
    elif int(card.uncorrected):
        yield Finding(
            f"{name} has {card.uncorrected} uncorrected ECC errors since its driver was loaded", Remedy.REBOOT
        )
    if card.mig == "Enabled":
        yield Finding(f"{name} is divided (MIG)", Remedy.REPAIR, "`nvidia-smi -mig 0` there, and run again")
    elif card.mig != "Disabled":
        unknown.setdefault("MIG's mode", []).append(card.index)
    yield from _pcie(card, unknown)


def _pcie(card: Card, unknown: dict[str, list[str]]) -> Iterator[Finding]:
    numbers = (card.generation, card.generation_most, card.width, card.width_most)
    if not all(number.isdecimal() for number in numbers):
        unknown.setdefault("PCIe's generation and width", []).append(card.index)
        return
    generation, most, width, widest = map(int, numbers)
    if most < _LEAST_GENERATION:
        yield Finding(f"GPU {card.index} has PCIe {most}, and {_LEAST_GENERATION} is the least", Remedy.GIVE_BACK)
    elif generation < most and card.pstate == "P0":
        yield Finding(f"GPU {card.index} uses PCIe {generation} of {most}")
    if width < widest:
        remedy = Remedy.REBOOT if _HELD_TO_ALL.search(card.name) else Remedy.TOLD
        yield Finding(f"GPU {card.index} uses {width} of its {widest} PCIe lanes", remedy)


def _rows(evidence: Evidence, unknown: dict[str, list[str]]) -> Iterator[Finding]:
    """Azure's health checks take a node out for either."""
    numbers = {card.bus: card.index for card in evidence.cards}
    for row in evidence.of("rows").rows:
        if len(row) != 3:
            continue
        index = numbers.get(bus(row[0]), row[0])
        pending, failure = (_yes(value) for value in row[1:])
        if failure:
            yield Finding(f"GPU {index} could not remap a row of its memory", Remedy.GIVE_BACK)
        elif pending:
            yield Finding(f"GPU {index} has a row of memory to remap", Remedy.REBOOT)
        elif pending is None or failure is None:
            unknown.setdefault("remapped rows", []).append(index)


def _yes(value: str) -> bool | None:
    """nvidia-smi's mock says 0 and 1, its documents Yes and No; None for what is neither."""
    return {"0": False, "no": False, "1": True, "yes": True}.get(value.lower())


def _throttling(evidence: Evidence, unknown: dict[str, list[str]]) -> Iterator[Finding]:
    for row in evidence.of("throttle").rows:
        if len(row) != 1 + len(_THROTTLED) or not row[0].isdecimal():
            continue
        for value, (what, remedy) in zip(row[1:], _THROTTLED, strict=True):
            if value == "Active":
                yield Finding(f"GPU {row[0]} {what}", remedy)
        if any(value not in ("Active", "Not Active") for value in row[1:]):
            unknown.setdefault("reasons of throttling", []).append(row[0])
