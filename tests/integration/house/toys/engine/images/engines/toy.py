"""An engine that only a test has: the simulator under another name and program."""

from __future__ import annotations

from dataclasses import replace

from images.bundle import RuntimeKind
from images.engines.common.base import EngineNeeds
from images.engines.simulator import ENGINE as SIMULATOR


def needs(kind: RuntimeKind) -> EngineNeeds:
    return replace(SIMULATOR.needs(kind), program=("toy-serve",))


ENGINE = replace(SIMULATOR, name="toy", title="the toy", needs=needs)
