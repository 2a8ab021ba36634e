"""One day for every command that judges by one: --today, else CROSSOVER_TODAY, else the clock's."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app
from scripts.crossover.shell.day import day
from tests.unit.crossover.usage import traffic

BENCH = ("bench", "http://127.0.0.1:9", "--sku", "lambda/gpu_8x_a100_80gb_sxm4", "--model", "m", "--duration", "0.1")
COMMANDS = [
    ("plan",),
    ("preview", "--out", "out"),
    ("prices", "show"),
    ("prices", "refresh"),
    ("usage", "import", "page.json"),
    ("waivers", "lint"),
    ("waivers", "list"),
]
ROW = "lambda/gpu_8x_a100_80gb_sxm4"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with a month of hours before 2026-11-22 in page.json."""
    monkeypatch.chdir(tmp_path)
    hours = traffic.hourly(range(30, 0, -1), lambda back, hour: (9_000_000 + hour, 3_000_000, 5_000_000))
    (tmp_path / "page.json").write_text(traffic.openai(hours))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_day_that_is_none_is_a_wrong_call(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the option and of the variable, with one clear line; nothing falls back to the clock."""
    done = run(*command, "--today", "soon")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "'soon' is no date as YYYY-MM-DD" in done.stderr
    monkeypatch.setenv("CROSSOVER_TODAY", "sooner")
    done = run(*command)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "crossover: CROSSOVER_TODAY is 'sooner', which is no date like 2026-11-22\n"


@pytest.mark.parametrize("command", [*COMMANDS, BENCH], ids=lambda command: " ".join(command[:2]))
def test_each_says_where_its_day_comes_from(command: tuple[str, ...]) -> None:
    told = " ".join(run(*command, "--help").stdout.replace("│", " ").split())
    assert "by default CROSSOVER_TODAY, else today" in told


def test_the_variable_is_the_day_of_each_and_the_option_stands_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is of 2026-09-20; the usage ends on 2026-11-21; a row of the future ends both commands around prices."""
    monkeypatch.setenv("CROSSOVER_TODAY", "2026-11-22")

    def age(*arguments: str) -> Any:
        rows = json.loads(run("prices", "show", "--json", *arguments).stdout)["prices"]
        return next(row["ageDays"] for row in rows if row["key"] == ROW)

    assert (age(), age("--today", "2026-11-30")) == (63, 71)
    assert json.loads(run("usage", "import", "page.json", "--json").stdout)["to"] == "2026-11-21"
    assert json.loads(run("plan", "--json").stdout)["inputs"]["today"]["value"] == "2026-11-22"
    assert json.loads(run("plan", "--json", "--today", "2026-11-30").stdout)["inputs"]["today"]["value"] == "2026-11-30"
    monkeypatch.setenv("CROSSOVER_TODAY", "2026-01-01")
    for command in ("show", "refresh"):
        done = run("prices", command)
        assert (done.exit_code, "is after today, 2026-01-01" in done.stderr) == (3, True)


def test_a_waiver_is_judged_by_the_day_that_is_given(tmp_path: Path) -> None:
    entry = {
        "policy": "break-even", "stack": "prod", "owner": "ada", "approver": "grace", "reason": "a trial",
        "ticket": "T-1", "created": "2026-11-01", "expires": "2026-12-01",
    }  # fmt: skip
    (tmp_path / "waivers.yaml").write_text(json.dumps([entry]))
    for today, status in (("2026-10-31", "not begun"), ("2026-12-01", "valid"), ("2026-12-02", "expired")):
        for command in ("lint", "list"):
            done = run("waivers", command, "--file", "waivers.yaml", "--json", "--today", today)
            assert json.loads(done.stdout)["waivers"][0]["status"] == status


def test_the_clock_is_the_zone_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, 23 hours apart, have the same day for one hour of 24 alone."""
    monkeypatch.delenv("CROSSOVER_TODAY", raising=False)
    for hours in (12, -11):
        zone = timezone(timedelta(hours=hours))
        before = datetime.now(zone).date()
        assert before <= day(None, zone) <= datetime.now(zone).date()
        assert day("2026-11-22", zone) == date(2026, 11, 22)
