"""Pure: what the kernel said of GPUs and NVSwitches since the machine booted."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from images.gpu.acceptance.evidence import bus
from images.gpu.acceptance.finding import Finding, Remedy

_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+),")
_SXID = re.compile(r"SXid \(PCI:([0-9a-fA-F:.]+)\): (\d+), (Non-fatal|Fatal)", re.IGNORECASE)
"""Without the link's number, an NVSwitch says "Fatal" or "Non-fatal" (NVIDIA's guide to the fabric manager, D.4)."""


def judge_kernel(lines: Iterable[str], gpus: Mapping[str, str]) -> tuple[Finding, ...]:
    """A finding for each GPU and number, with its first line. `gpus` is PCI address → number of the GPU."""
    found: dict[tuple[str, str], Finding] = {}
    for line in lines:
        if match := _XID.search(line):
            address, number = bus(match[1]), match[2]
            name = f"GPU {gpus[address]}" if address in gpus else f"the GPU at {address}"
            finding = _of_xid(name, int(number), line)
        elif match := _SXID.search(line):
            address, number = bus(match[1]), match[2]
            fatal = match[3].lower() == "fatal"
            what = f'the NVSwitch at {address} has a {match[3].lower()} error (SXid {number}: "{line.strip()}")'
            finding = Finding(what, Remedy.REBOOT if fatal else Remedy.TOLD)
        else:
            continue
        if finding is not None:
            found.setdefault((address, number), finding)
    return tuple(found.values())


def _of_xid(name: str, number: int, line: str) -> Finding | None:
    for kind, remedy in (("give_back", Remedy.GIVE_BACK), ("reboot", Remedy.REBOOT)):
        if meaning := _xids()[kind].get(str(number)):
            return Finding(f'{name} {meaning} (Xid {number}: "{line.strip()}")', remedy)
    if str(number) in _xids()["ignored"]:
        return None
    return Finding(f'{name} had Xid {number}, which we do not know ("{line.strip()}")')


@cache
def _xids() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(Path(__file__).with_name("xids.toml").read_text())
