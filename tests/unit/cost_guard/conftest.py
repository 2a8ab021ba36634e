"""Scenarios to begin from: the sources' two Lambda nodes, in each of the three forms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import Catalogue, load_catalogue
from cost_guard.pack import gate, policies, standing
from cost_guard.pack.resources import fallback_configured, node_outside_fleet, self_check
from cost_guard.scenario.proposal import parse_baseline, parse_scenario
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.scenario.waiver_file import WAIVERS_VARIABLE
from strict.day import VARIABLE

Build = Callable[..., Scenario]
QUOTED = "quoted/lambda-8x-a100-80gb"
MODEL = "meta-llama/Llama-3.1-70B-Instruct"
INVOICED = date(2026, 10, 12)


@pytest.fixture
def catalogue() -> Catalogue:
    """The committed one."""
    return load_catalogue()


@pytest.fixture
def today() -> date:
    """A day on which an invoice of INVOICED is 41 days old, so fresh."""
    return date(2026, 11, 22)


@pytest.fixture
def plain() -> Callable[..., dict[str, Any]]:
    """Form 1 as plain data: plain(volume, rho=…, price=…, fleet={…}, workload={…}, other sections)."""

    def build(volume: Any = "6e9", rho: Any = 1.3, price: Any = 5, **sections: Any) -> dict[str, Any]:
        fleet = {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759, **sections.pop("fleet", {})}
        workload = {"tokensPerMonth": volume, "peakToMean": rho, **sections.pop("workload", {})}
        managed = sections.pop("managed", None) or invoiced(price)
        return {"workload": workload, "managed": managed, "fleet": fleet, **sections}

    return build


@pytest.fixture
def quotation(plain: Callable[..., dict[str, Any]]) -> Build:
    """Form 1, parsed; the volume is measured unless said otherwise, so that only what a test varies is told."""

    def build(*args: Any, **sections: Any) -> Scenario:
        sections["workload"] = {"kind": "measured", **sections.get("workload", {})}
        return parse_scenario(plain(*args, **sections))

    return build


def invoiced(price: Any = 5) -> dict[str, Any]:
    """A managed price that says where it comes from; a model whose price at 3:1 is $10."""
    return {
        "usdPerMillionTokens": price, "model": "claude-opus-4-8", "source": "invoice", "date": INVOICED.isoformat(),
    }  # fmt: skip


def candidate(cloud: str = "local", region: str = "bay-1", **more: Any) -> dict[str, Any]:
    """One rung; a local one stands for the quoted Lambda node."""
    if cloud == "local" and "standsFor" not in more:
        more["standsFor"] = QUOTED
    return {"cloud": cloud, "region": region, "sku": "sim-8x-a100", **more}


@pytest.fixture
def rung() -> Callable[..., dict[str, Any]]:
    """One candidate as plain data."""
    return candidate


@pytest.fixture
def ladder(plain: Callable[..., dict[str, Any]]) -> Build:
    """Form 3, parsed: ladder({"a": [candidate, …]}, volume=…), by default two local nodes in two bays."""

    def build(nodes: dict[str, Any] | int = 2, volume: Any = "6e9", **sections: Any) -> Scenario:
        if isinstance(nodes, int):
            nodes = {"abcdef"[i]: [candidate(region=f"bay-{i + 1}")] for i in range(nodes)}
        fleet = {"nodes": {key: {"candidates": rungs} for key, rungs in nodes.items()}, **sections.pop("fleet", {})}
        sections["workload"] = {"model": MODEL, **sections.get("workload", {})}
        return parse_scenario({**plain(volume, **sections), "fleet": fleet})

    return build


@pytest.fixture
def two_nodes() -> Baseline:
    """The sources' pair, approved and running."""
    return parse_baseline({"nodes": 2, "usdPerMonth": 19940, "approvedBy": "a. person", "date": "2026-05-20"})


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A fixed day, rules that remember nothing of another test; the folder from which waivers.yaml is read."""
    monkeypatch.setenv(VARIABLE, "2026-11-22")
    monkeypatch.delenv(WAIVERS_VARIABLE, raising=False)
    monkeypatch.setattr(standing, "ROOT", tmp_path)
    monkeypatch.setattr(standing, "seen", set())
    monkeypatch.setattr(standing, "program", facts := standing.ProgramFacts())
    monkeypatch.setattr(policies, "program", facts)
    for memory in ("_ladders", "_nodes", "_parents", "_named", "_machines"):
        monkeypatch.setattr(node_outside_fleet, memory, {})
    monkeypatch.setattr(fallback_configured, "_survives", {})
    monkeypatch.setattr(self_check, "complaints", [])
    standing.standing_waivers.cache_clear()
    gate._judge.cache_clear()
    return tmp_path
