"""An engine that only a test has: the simulator under another name and program."""

from __future__ import annotations

from dataclasses import replace

from images.bundle import Source
from images.engines.base import EngineNeeds
from images.engines.simulator import ENGINE as SIMULATOR


def needs(requirements: Source | None) -> EngineNeeds:
    return replace(SIMULATOR.needs(requirements), program=("toy-serve",))


ENGINE = replace(SIMULATOR, name="toy", title="the toy", needs=needs)
