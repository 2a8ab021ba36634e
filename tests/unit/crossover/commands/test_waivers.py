"""`crossover waivers`: exit codes, the table, and one JSON document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app

ENTRY = """
- policy: break-even
  stack: prod-*
  owner: ml-platform
  approver: finance
  reason: launch in week 3
  ticket: OPS-1
  created: 2026-11-01
  expires: {expires}
  costCapUsdPerMonth: 20000
"""


@pytest.fixture(autouse=True)
def _day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSOVER_TODAY", "2026-11-22")


def ask(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["waivers", *arguments])
    return done.exit_code, done.stdout, done.stderr


def written(folder: Path, text: str) -> str:
    path = folder / "w.yaml"
    path.write_text(text)
    return str(path)


def test_lint_shows_what_each_waiver_is_worth(tmp_path: Path) -> None:
    """The next to expire first; an expired one is shown, and is no mistake of the file."""
    file = written(tmp_path, ENTRY.format(expires="2026-12-01") + ENTRY.format(expires="2026-11-21"))
    code, output, _ = ask("lint", "--file", file)
    assert code == 0
    assert output.index("expired") < output.index("valid")
    assert "9 days" in output
    code, output, _ = ask("lint", "--file", file, "--json")
    assert code == 0
    first, second = json.loads(output)["waivers"]
    assert (first["status"], first["line"], first["expires"]) == ("expired", 12, "2026-11-21")
    assert (second["status"], second["costCapUsdPerMonth"], second["urn"]) == ("valid", 20000, "*")


def test_a_bad_file_exits_3_with_file_line_and_key(tmp_path: Path) -> None:
    """On standard error, or as the document."""
    file = written(tmp_path, ENTRY.format(expires="2027-12-01"))
    line = "w.yaml:9: expires: must be within 90 days of created, by 2027-01-30, got 2027-12-01"
    code, output, errors = ask("lint", "--file", file)
    assert (code, output, errors) == (3, "", f"cannot evaluate: {line}\n")
    code, output, _ = ask("list", "--file", file, "--json")
    assert (code, json.loads(output)["errors"]) == (3, [line])


def test_list_is_of_one_stack(tmp_path: Path) -> None:
    """By the waiver's glob."""
    file = written(tmp_path, ENTRY.format(expires="2026-12-01"))
    assert "OPS-1" in ask("list", "--file", file, "--stack", "prod-eu")[1]
    assert ask("list", "--file", file, "--stack", "dev") == (0, "no waivers\n", "")


def test_a_wrong_call_exits_1_and_a_named_file_that_is_missing_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that does not exist; CROSSOVER_TODAY that is no date; CROSSOVER_WAIVERS that names no file."""
    assert ask("lint", "--file", str(tmp_path / "none"))[0] == 1
    monkeypatch.setenv("CROSSOVER_WAIVERS", str(tmp_path / "none"))
    assert ask("lint")[0] == 3
    monkeypatch.setenv("CROSSOVER_TODAY", "tomorrow")
    assert ask("lint", "--file", written(tmp_path, "[]"))[0] == 1
