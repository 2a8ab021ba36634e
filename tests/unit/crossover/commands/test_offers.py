"""`crossover offers`: all configured clouds, cheapest first; one that cannot answer is told and hides nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from providers.errors import Incomplete, Unauthorized, Unavailable
from scripts.crossover.__main__ import app
from tests.support.market import MISSING, Market, offer, registered


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["offers", *arguments])


def test_cheapest_first_over_all_clouds_and_what_is_free_first_among_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    a = Market("a", on_sale=[offer("a", "22.32"), offer("a", "9")])
    b = Market("b", on_sale=[offer("b", "14.32", available=False), offer("b", "14.32", region="r2")])
    registered(monkeypatch, a, b)
    done = run("--json")
    told = [(o["cloud"], o["usdPerHour"], o["available"]) for o in json.loads(done.stdout)["offers"]]
    assert told == [("a", "9", True), ("b", "14.32", True), ("b", "14.32", False), ("a", "22.32", True)]
    assert done.exit_code == 0


def test_a_month_has_730_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """22.32 × 730 = 16293.60."""
    registered(monkeypatch, Market("a", on_sale=[offer("a", "22.32")]))
    [row] = json.loads(run("--json").stdout)["offers"]
    assert row["usdPerMonth"] == "16293.60"
    assert run().stdout.split()[-9:] == ["a", "r1", "8x", "8", "×", "80", "22.32", "16,294", "yes"]


def test_a_cloud_without_credentials_is_told_and_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, Market("a", on_sale=[offer("a", "9")]), Market("b", refuses=Unauthorized(MISSING)))
    done = run()
    assert (done.exit_code, f"b: not configured: {MISSING}" in done.stderr, "9.00" in done.stdout) == (0, True, True)
    assert json.loads(run("--json").stdout)["notAsked"] == [{"cloud": "b", "missing": MISSING}]


def test_a_cloud_that_does_not_answer_is_an_error_after_the_others_were_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, Market("a", on_sale=[offer("a", "9")]), Market("b", refuses=Unavailable("503")))
    done = run()
    assert (done.exit_code, "b: could not be asked: 503" in done.stderr, "9.00" in done.stdout) == (1, True, True)


def test_one_cloud_alone_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, Market("a", on_sale=[offer("a", "9")]), Market("b", refuses=Unauthorized(MISSING)))
    assert run("--cloud", "a").stderr == ""
    assert run("--cloud", "b").exit_code == 1
    unknown = run("--cloud", "c")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr == "crossover: unknown cloud 'c': choose one of a, b\n"


def test_the_table_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    long = offer("lambdalabs", "22.32", "asia-northeast-1", "gpu_8x_a100_80gb_sxm4_" + "x" * 30)
    registered(monkeypatch, Market("a", on_sale=[long]))
    assert max(map(len, run().stdout.splitlines())) <= 80


def test_a_price_that_the_cloud_does_not_tell_is_the_catalogues_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """p4de.24xlarge is 27.447050 USD/h in the catalogue; a type without a row has no price and comes last."""
    untold = replace(
        offer("aws", "0", "us-east-1", "p4de.24xlarge"), usd_per_hour=None, available=None, description="why"
    )
    told = replace(untold, zones=("us-east-1b", "us-east-1c"))
    registered(monkeypatch, Market("aws", on_sale=[replace(untold, sku="odd"), told, offer("aws", "9")]))
    rows = json.loads(run("--json").stdout)["offers"]
    assert [(o["sku"], o["usdPerHour"], o["priceSource"], o["available"]) for o in rows] == [
        ("8x", "9", "cloud", True), ("p4de.24xlarge", "27.447050", "catalogue", None), ("odd", None, None, None),
    ]  # fmt: skip
    assert rows[1]["zones"] == ["us-east-1b", "us-east-1c"]
    done = run()
    assert "~27.45" in done.stdout
    assert "us-east-1 b c" in " ".join(done.stdout.split())
    assert "free ?: unknown until launch" in done.stdout
    assert done.stderr == "USD ~: the gate's catalogue, not the cloud: why\n"
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_what_a_part_of_a_cloud_offers_is_shown_and_the_rest_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, Market("a", refuses=Incomplete("a r2: no right", [offer("a", "9")])))
    done = run()
    assert (done.exit_code, "9.00" in done.stdout, "a r2: no right" in done.stderr) == (1, True, True)
