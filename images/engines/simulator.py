"""vLLM's simulator (`images/simulator`), where there is no GPU: vLLM's flags, answers and metrics, at a set speed."""

from __future__ import annotations

from dataclasses import replace

from images.bundle import PythonEnvironment, Source
from images.engines import vllm
from images.engines.base import RATES, EngineNeeds, EngineOptions, HealthPath
from images.sources import repository_source, repository_sources

REQUIREMENTS = "requirements/simulator.txt"


def command(options: EngineOptions) -> tuple[str, ...]:
    """vLLM's, and the rates."""
    rates = {f"--sim-{name}": value for name, value in sorted(options.simulation.items())}
    return vllm.command(options, *(word for flag in rates.items() for word in flag))


def needs(requirements: Source | None) -> EngineNeeds:
    """All of it comes from this repository."""
    locked = requirements or repository_source(REQUIREMENTS, REQUIREMENTS)
    return EngineNeeds(
        program=("@ENV:simulator@/bin/python", "-m", "simulator"),
        variables={"PYTHONPATH": "@ROOT@/lib"},
        environments=(PythonEnvironment("simulator", locked),),
        sources=repository_sources("lib/simulator", "images/simulator"),
    )


ENGINE = replace(
    vllm.ENGINE,
    name="simulator",
    command=command,
    health=HealthPath(vllm.ENGINE.health.path, deadline_s=120),
    needs=needs,
    teardown_s=10,
    after=(),
    locks_memory=False,
    capabilities=frozenset({RATES}),
)
