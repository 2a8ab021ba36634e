"""`crossover prices show`: all rows with their ages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app

LLAMA = "meta-llama/Llama-3.1-70B-Instruct"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["prices", "show", "--today", "2026-11-23", *arguments])


def test_every_row_is_told_with_its_age() -> None:
    """From 2026-09-20 to 2026-11-23 are 64 days."""
    told = json.loads(run("--json").stdout)
    [row] = [row for row in told["prices"] if row["key"] == "lambda/gpu_8x_a100_80gb_sxm4"]
    assert (row["ageDays"], row["usdPerHour"], row["usdPerMonthEffective"]) == (64, "22.32", "16293.60")
    assert {row["key"] for row in told["managed"]} >= {"gpt-4o", "gpt-4o-mini"}
    [served] = [row for row in told["throughput"] if row["key"] == f"8x-a100-sxm-80gb@{LLAMA}"]
    assert (served["prefillTokensPerSecond"], served["sigma"]) == ("7201", "0.29")
    assert served["shapes"][0] == [128, 128, "9684"]


def test_a_catalogue_is_shown_by_its_name() -> None:
    """The articles' own table, and what its machines serve."""
    told = json.loads(run("--catalogue", "quoted", "--json").stdout)
    assert {row["key"].partition("/")[0] for row in told["prices"]} == {"quoted"}
    assert {row["key"].partition("@")[0] for row in told["throughput"]} == {"8x-a100-sxm-80gb", "8x-a100-sxm-40gb"}
    assert (len(told["prices"]), told["managed"]) == (4, [])
    unknown = run("--catalogue", "nowhere")
    assert (unknown.exit_code, "quoted" in unknown.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("--catalogue", "quoted"), ("--catalogue", "runpod")])
def test_the_tables_fit_80_columns(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
