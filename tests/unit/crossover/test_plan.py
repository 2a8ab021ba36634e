"""`crossover plan`: exit codes, one JSON document, tables for people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app

Write = Callable[..., str]
ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", "--today", "2026-11-22", *arguments])


@pytest.mark.parametrize(
    ("volume", "kind", "strict", "code", "verdict"),
    [
        ("6e9", "measured", False, 0, "PASS"),
        ("6e9", "measured", True, 0, "PASS"),
        ("6e9", "asserted", False, 0, "WARN"),
        ("6e9", "asserted", True, 4, "WARN"),
        ("500e6", "measured", False, 2, "BLOCK"),
        ("500e6", "measured", True, 2, "BLOCK"),
    ],
)
def test_exit_code_and_json(
    scenario_file: Write, volume: str, kind: str, strict: bool, code: int, verdict: str
) -> None:
    """Standard output is one document on each of them."""
    options = ["--strict"] if strict else []
    done = run("--file", scenario_file(volume, workload={"kind": kind}), "--json", *options)
    document = json.loads(done.stdout)
    assert (done.exit_code, document["verdict"]) == (code, verdict)
    assert document["breakEven"]["simple"] == 3988000000
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workload: {tokenPerMonth: 1}", "workload.tokenPerMonth: unknown key (did you mean tokensPerMonth?)"),
        ("", "expected a map of keys, got null"),
        ("[", "scenario.yaml (line 1): not YAML: "),
        ("a: 1\na: 2", "scenario.yaml (line 2): not YAML: a stands twice"),
        ("a: !!python/object:os.system {}", "not YAML: could not determine a constructor"),
        ("a: \x00", "not YAML"),
        ("? [1]\n: 2", "not YAML"),
    ],
    ids=["typo", "empty", "not YAML", "twice", "a tag", "binary", "odd key"],
)
def test_bad_data_cannot_be_evaluated(tmp_path: Path, text: str, said: str) -> None:
    """Exit 3: with --json still one document, without it lines on standard error."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    as_json = run("--file", str(path), "--json")
    document = json.loads(as_json.stdout)
    assert (as_json.exit_code, document["verdict"]) == (3, None)
    assert any(said in line for line in document["errors"])
    plain = run("--file", str(path))
    assert (plain.exit_code, plain.stdout) == (3, "")
    assert "cannot evaluate: " in plain.stderr
    assert "Traceback" not in plain.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["--file", "no-such-file.yaml"], ["--file", "."], ["--bogus"], ["--today", "soon", "--file", __file__]],
    ids=["no file option", "no such file", "a folder", "unknown option", "no day"],
)
def test_wrong_calls_exit_1(arguments: list[str]) -> None:
    """Not click's 2, which would read as BLOCK."""
    done = CliRunner().invoke(app, ["plan", *arguments])
    assert (done.exit_code, done.stdout) == (1, "")


def test_an_unknown_command_exits_1() -> None:
    """At the top level too, as does no command at all."""
    assert CliRunner().invoke(app, ["plam"]).exit_code == 1
    assert CliRunner().invoke(app, []).exit_code == 1
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0


def test_a_baseline_lets_repair_through(scenario_file: Write, tmp_path: Path) -> None:
    """500e6 with the same two nodes approved: a warning; a third node: blocked."""
    baseline = tmp_path / "baseline.yaml"
    baseline.write_text("{nodes: 2, usdPerMonth: 19940, approvedBy: a. person, date: 2026-09-01}")
    repair = run("--file", scenario_file("500e6"), "--baseline", str(baseline))
    assert repair.exit_code == 0
    assert "approved by a. person on 2026-09-01" in " ".join(repair.stdout.split())
    fleet = {"nodes": 3, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759}
    assert run("--file", scenario_file("500e6", fleet=fleet), "--baseline", str(baseline)).exit_code == 2
    baseline.write_text("{nodes: 2}")
    broken = run("--file", scenario_file(), "--baseline", str(baseline))
    assert broken.exit_code == 3
    assert "baseline: approvedBy: missing" in broken.stderr


def test_old_prices_only_warn_in_a_plan(scenario_file: Write) -> None:
    """The quotation of March is 241 days old in November; its distance from live prices is told."""
    done = run("--file", scenario_file(fleet={"nodes": 2, "sku": "quoted/lambda-8x-a100-80gb"}))
    text = " ".join(done.stdout.split())
    assert done.exit_code == 0
    assert "241 days old" in text
    assert "live price seen 2026-09-20 is $22.32/h × 730 = $16,293.60, +105.7 %" in text


def test_an_unknown_sku_is_a_verdict_and_not_an_error(scenario_file: Write) -> None:
    """price-known blocks; what cannot be known is null, in words unknown."""
    path = scenario_file(fleet={"nodes": 2, "sku": "lambda/nonsense"})
    document = json.loads(run("--file", path, "--json").stdout)
    assert (document["verdict"], document["fixedUsdPerMonth"]) == ("BLOCK", None)
    done = run("--file", path)
    assert done.exit_code == 2
    assert "unknown" in done.stdout


@pytest.mark.parametrize("volume", ["6e9", "500e6"])
def test_tables_are_plain_and_fit_80_columns(scenario_file: Write, volume: str) -> None:
    """No colour and no wide line where there is no terminal."""
    done = run("--file", scenario_file(volume, workload={"kind": "asserted"}))
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    for words in ("self-hosted", "managed", "break-even", "capacity", "recommendation"):
        assert words in done.stdout


def test_as_a_process(scenario_file: Write) -> None:
    """The installed entry: exit code, one document, nothing on standard error."""
    command = [sys.executable, "-m", "scripts.crossover", "plan", "--json", "--file", scenario_file("500e6")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ})
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["verdict"] == "BLOCK"
