"""Faults on demand, one at a time.

hang      the engines stop between two steps: /health stays 200, requests are taken and nothing comes
slow      every step takes `factor` times as long
error500  completions are refused with 500
crash     the process exits at once with `exitCode`, nothing flushed, connections cut
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["none", "hang", "slow", "error500", "crash"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_PARAMETERS: Mapping[str, frozenset[str]] = {"slow": frozenset({"factor"}), "crash": frozenset({"exitCode"})}


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind = "none"
    factor: float = 10.0
    """How many times slower; only for "slow". Positive and finite."""
    exit_code: int = 1
    """Only for "crash". 1 to 255."""

    @classmethod
    def parse(cls, value: object) -> Fault:
        """From the JSON of POST /sim/faults. ValueError says what is wrong with it."""
        body: Mapping[str, Any] = value if isinstance(value, dict) else {}
        kind = body.get("fault")
        if kind not in _KINDS:
            raise ValueError(f'expected {{"fault": …}} with one of {", ".join(_KINDS)}')
        unknown = body.keys() - {"fault"} - _PARAMETERS.get(kind, frozenset())
        if unknown:
            raise ValueError(f"unknown for {kind}: {', '.join(sorted(unknown))}")
        factor = body.get("factor", 10.0)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < math.inf:
            raise ValueError("factor must be a positive number")
        exit_code = body.get("exitCode", 1)
        if isinstance(exit_code, bool) or not isinstance(exit_code, int) or not 1 <= exit_code <= 255:
            raise ValueError("exitCode must be an integer from 1 to 255")
        return cls(_KINDS[_KINDS.index(kind)], float(factor), exit_code)

    def to_json(self) -> dict[str, Any]:
        extra: dict[str, dict[str, Any]] = {"slow": {"factor": self.factor}, "crash": {"exitCode": self.exit_code}}
        return {"fault": self.kind, **extra.get(self.kind, {})}


class Faults:
    """The fault in force. `crash` is called with the exit code and does not return."""

    def __init__(self, crash: Callable[[int], object]) -> None:
        self.current = Fault()
        self._crash = crash
        self._moving = asyncio.Event()
        self._moving.set()

    def set(self, fault: Fault) -> None:
        self.current = fault
        if fault.kind == "crash":
            self._crash(fault.exit_code)
        if fault.kind == "hang":
            self._moving.clear()
        else:
            self._moving.set()

    @property
    def slowdown(self) -> float:
        """What a step's duration is multiplied by."""
        return self.current.factor if self.current.kind == "slow" else 1.0

    async def until_moving(self) -> None:
        """Returns at once, unless the engines hang: then when they no longer do."""
        await self._moving.wait()
