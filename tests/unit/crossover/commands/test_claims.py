"""`crossover claims`: the list for machines and the table for people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cost_guard.catalogue.catalogue import CatalogueError
from cost_guard.catalogue.claims.check import load_claims
from scripts.crossover.__main__ import app
from scripts.crossover.commands import claims

ROOT = Path(__file__).parents[4]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["claims", *arguments])


def test_json_is_the_whole_list() -> None:
    """Every claim, in the order of the data file."""
    done = run("--json")
    assert done.exit_code == 0
    assert [one["id"] for one in json.loads(done.stdout)] == [one.claim.id for one in load_claims()]


def test_the_table_shows_every_claim_in_80_columns() -> None:
    """Ids, statuses, and what the contradictions would need."""
    done = run()
    assert done.exit_code == 0
    assert all(one.claim.id in done.stdout for one in load_claims())
    assert "would need F = 75,000 USD/month" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "\x1b" not in done.stdout


def test_the_table_tells_small_figures_open_ranges_and_rows_of_the_catalogue() -> None:
    """0.0008 is not 0; what is only quoted yields nothing."""
    figures = [line[48:].rstrip() for line in run().stdout.splitlines()]
    for shown in (
        ["yields 0.0008 USD/1,000 tokens"],
        ["says at least 2 times", "yields 7.98 times"],
        ["by lambda/gpu_8x_a100_80gb_sxm4,"],
        ["says 5,600 USD/month", "", ""],
    ):
        assert any(figures[at : at + len(shown)] == shown for at in range(len(figures))), shown


def test_the_readme_says_what_the_command_says() -> None:
    """Its excerpts are lines of the table, its counts those of the rows."""
    readme, said = (ROOT / "README.md").read_text(), run().stdout
    shown = readme.split("(`crossover claims`):")[1].split("```")[1].removeprefix("text\n")
    lines = {line.rstrip() for line in said.splitlines()}
    assert [line for line in shown.splitlines() if line.rstrip() not in lines] == []
    own = Counter(one.status for one in load_claims() if one.catalogue_row is None)  # a refresh changes no README
    others = len(load_claims()) - own.total()
    assert (
        f"Of the {own.total()} rows that stand on the articles alone {own['reproduces']} reproduce, "
        f"{own['reproduces-if']} do under a condition, {own['contradicts']} contradict, {own['quoted']} are only "
        f"quoted, {own['unverifiable']} cannot be verified; {others} more follow the catalogue's prices."
    ) in " ".join(readme.split())


def test_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich is told that there is one."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in run().stdout
    assert "\x1b" not in run("--json").stdout


def test_a_broken_data_file_cannot_be_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 3, and with --json one document."""

    def broken() -> None:
        raise CatalogueError("claims.toml: broken")

    monkeypatch.setattr(claims, "load_claims", broken)
    done = run("--json")
    assert (done.exit_code, json.loads(done.stdout)["errors"]) == (3, ["claims.toml: broken"])
    done = run()
    assert (done.exit_code, done.stderr) == (3, "cannot evaluate: claims.toml: broken\n")


def test_as_a_process() -> None:
    """The entry as installed."""
    command = [sys.executable, "-m", "scripts.crossover", "claims", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == len(load_claims())
