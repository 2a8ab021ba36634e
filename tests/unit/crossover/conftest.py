"""Scenario files to run the commands on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

FLEET = {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759}


@pytest.fixture
def scenario_file(tmp_path: Path) -> Callable[..., str]:
    """Writes a scenario; scenario_file("6e9", fleet={…}) returns its path."""

    def write(volume: Any = "6e9", **sections: Any) -> str:
        data = {
            "workload": {"tokensPerMonth": volume, "kind": "measured", **sections.pop("workload", {})},
            "managed": {"usdPerMillionTokens": 5},
            "fleet": FLEET,
            **sections,
        }
        path = tmp_path / "scenario.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same width and no colour, whatever runs the tests."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
