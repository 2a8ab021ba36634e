"""Scenario files, and a copy of the catalogue, to run the commands on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cost_guard.catalogue.catalogue import DATA
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.scenario.scenario import ScenarioError
from scripts.crossover.__main__ import app
from tests.support.gate import measured

FLEET = {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759}


@pytest.fixture
def scenario_file(tmp_path: Path) -> Callable[..., str]:
    """Writes a scenario; scenario_file("6e9", fleet={…}) returns its path."""

    def write(volume: Any = "6e9", **sections: Any) -> str:
        data: dict[str, Any] = {
            "workload": {"tokensPerMonth": volume, "kind": "measured", **sections.pop("workload", {})},
            "managed": {
                "usdPerMillionTokens": 5, "model": "claude-opus-4-8", "source": "invoice", "date": "2026-11-01",
            },
            "fleet": FLEET,
            **sections,
        }  # fmt: skip
        path = tmp_path / "scenario.yaml"
        if data["workload"]["kind"] == "measured" and (usage := _usage(data)) is not None:
            (tmp_path / "usage.yaml").write_text(yaml.safe_dump(usage), encoding="utf-8")
            said = ("tokensPerMonth", "kind", "inputShare", "cachedShare", "peakToMean")
            kept = {key: value for key, value in data["workload"].items() if key not in said}
            data["workload"] = {**kept, "usage": "usage.yaml"}
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return str(path)

    return write


def _usage(data: dict[str, Any]) -> dict[str, Any] | None:
    """The usage file of a month as the scenario says it; None of a scenario that is refused."""
    try:
        return measured(parse_scenario(data), date(2026, 11, 21)).to_inputs()
    except ScenarioError:
        return None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the committed catalogue."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    return folder


@pytest.fixture
def refresh(data: Path) -> Callable[..., Any]:
    """refresh(*arguments) is `crossover prices refresh` on the copy, as of 2026-12-01."""

    def invoke(*arguments: str) -> Any:
        given = ("--data", str(data), "--today", "2026-12-01", *arguments)
        return CliRunner().invoke(app, ["prices", "refresh", *given])

    return invoke


@pytest.fixture(autouse=True)
def _no_stack_selected(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever this checkout has selected."""
    for name in ("PULUMI_STACK", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path_factory.getbasetemp() / "no-pulumi-home"))


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same width and no colour, whatever runs the tests."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
