"""The rules: promtool runs every alert firing and not firing; each has its runbook, and its limits exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from images.roles.monitoring.limits import limits, render_limits, spill_prices
from images.roles.monitoring.settings import Limits, MonitoringSettings, SpillPrice

REPOSITORY = Path(__file__).resolve().parents[5]
RULES = sorted((REPOSITORY / "images/roles/monitoring/rules").glob("*.yaml"))
TESTS = Path(__file__).parent
SPILL = SpillPrice(served_names=("llama-70b", "llama"), input_usd_per_token=2e-6, output_usd_per_token=8e-6)
STACK = Limits(minimum_nodes=2, break_even_tokens_per_month=2.4e9, spill=SPILL, certificates_end_seconds=1)


def _alerts() -> list[dict[str, object]]:
    groups = [g for f in RULES for g in yaml.safe_load(f.read_text())["groups"]]
    return [r for g in groups for r in g["rules"] if "alert" in r]


def _promtool(*arguments: str | Path) -> None:
    result = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("file", RULES, ids=lambda f: f.stem)
def test_promtool_finds_the_rules_valid_and_passes_their_tests(file: Path) -> None:
    _promtool("check", "rules", file)
    _promtool("test", "rules", TESTS / file.name)


@pytest.mark.parametrize("alert", _alerts(), ids=lambda a: a["alert"])
def test_an_alert_is_tested_firing_and_not_firing_and_has_a_runbook(alert: dict[str, object]) -> None:
    name = alert["alert"]
    cases = [
        c
        for f in RULES
        for t in yaml.safe_load((TESTS / f.name).read_text())["tests"]
        for c in t.get("alert_rule_test", ())
    ]
    expected = [bool(c["exp_alerts"]) for c in cases if c["alertname"] == name]
    assert set(expected) == {True, False}
    annotations, labels = alert["annotations"], alert["labels"]
    assert isinstance(annotations, dict)
    assert isinstance(labels, dict)
    assert set(annotations) == {"summary", "description", "runbook"}
    assert labels["severity"] in ("warning", "critical")
    assert annotations["runbook"] == f"docs/runbooks/{name}.md"
    assert (REPOSITORY / f"docs/runbooks/{name}.md").read_text().startswith(f"# {name}\n")


def test_the_limits_that_the_rules_use_are_those_that_are_rendered() -> None:
    used = {m for f in RULES for m in re.findall(r"crossover:limit:([a-z0-9_]+)", f.read_text())}
    assert used == set(limits(MonitoringSettings(), STACK)) | set(spill_prices(STACK))


def test_limits_are_constant_series_that_promtool_accepts(tmp_path: Path) -> None:
    settings = MonitoringSettings.model_validate({"p99LimitS": 12.5, "volumeMinimumDays": 14})
    text = render_limits(settings, STACK)
    (tmp_path / "limits.yaml").write_text(text)
    _promtool("check", "rules", tmp_path / "limits.yaml")
    rows = yaml.safe_load(text)["groups"][0]["rules"]
    rules = {r["record"]: r["expr"] for r in rows if "labels" not in r}
    spilled = {(r["record"], r["labels"]["requested_model"]): float(r["expr"][7:-1]) for r in rows if "labels" in r}
    assert spilled == {
        (f"crossover:limit:spill_{way}_usd_per_token", name): price
        for way, price in (("input", 2e-6), ("output", 8e-6))
        for name in ("llama-70b", "llama")
    }
    assert rules["crossover:limit:nodes"] == "vector(2)"
    assert rules["crossover:limit:latency_p99_seconds"] == "vector(12.5)"
    assert rules["crossover:limit:volume_hours"] == "vector(336)"
    assert rules["crossover:limit:break_even_tokens_per_month"] == "vector(2400000000.0)"


def test_without_a_break_even_there_is_no_such_limit() -> None:
    assert "break_even" not in render_limits(
        MonitoringSettings(), Limits(minimum_nodes=2, break_even_tokens_per_month=None)
    )
