"""Faults on demand, one at a time.

hang      the engines stop between two steps: /health stays 200, requests are taken and nothing comes
slow      every step takes `factor` times as long
error500  completions are refused with 500
crash     the process exits at once with `exitCode`, nothing flushed, connections cut
kill      the engine is killed: its requests fail, the server tells it and ends with 0, as vLLM's does
orphan    kill, and a worker outlives it for `seconds`, with the GPU's memory
linger    at its end the server closes no idle connection, as vLLM's now and then does not
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["none", "hang", "slow", "error500", "crash", "kill", "orphan", "linger"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_PARAMETERS: Mapping[str, frozenset[str]] = {
    "slow": frozenset({"factor"}),
    "crash": frozenset({"exitCode"}),
    "orphan": frozenset({"seconds"}),
}


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind = "none"
    factor: float = 10.0
    """How many times slower; only for "slow". Positive and finite."""
    exit_code: int = 1
    """Only for "crash". 1 to 255."""
    seconds: float = 60.0
    """How long the worker lives on; only for "orphan". Positive and finite."""

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
        factor, seconds = _positive(body, "factor", 10.0), _positive(body, "seconds", 60.0)
        exit_code = body.get("exitCode", 1)
        if isinstance(exit_code, bool) or not isinstance(exit_code, int) or not 1 <= exit_code <= 255:
            raise ValueError("exitCode must be an integer from 1 to 255")
        return cls(_KINDS[_KINDS.index(kind)], factor, exit_code, seconds)

    def to_json(self) -> dict[str, Any]:
        extra: dict[str, dict[str, Any]] = {
            "slow": {"factor": self.factor},
            "crash": {"exitCode": self.exit_code},
            "orphan": {"seconds": self.seconds},
        }
        return {"fault": self.kind, **extra.get(self.kind, {})}


def _positive(body: Mapping[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive number")
    return float(value)


class Faults:
    """The fault in force. `crash` is called with the exit code and does not return; `kill` ends the engine."""

    def __init__(self, crash: Callable[[int], object], kill: Callable[[Fault], object] = lambda _: None) -> None:
        self.current = Fault()
        self.kill = kill
        self._crash = crash
        self._moving = asyncio.Event()
        self._moving.set()

    def set(self, fault: Fault) -> None:
        self.current = fault
        if fault.kind == "crash":
            self._crash(fault.exit_code)
        if fault.kind in ("kill", "orphan"):
            self.kill(fault)
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
