"""`crossover plan`: exit codes, one JSON document, tables for people."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from cost_guard.arithmetic.uncertainty.tornado import HorizonSwing, tornado
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.proposal import parse_scenario
from scripts.crossover.__main__ import app
from scripts.crossover.report.tables import bar
from scripts.crossover.report.text import show
from scripts.crossover.report.words import NAMES, compact_usd
from scripts.crossover.stack import verdict as stack
from tests.support.gate import verdict_of

Write = Callable[..., str]
SERVED = {"model": "meta-llama/Llama-3.1-70B-Instruct"}
ROOT = Path(__file__).parents[4]
OPTIONS = ["managed", "same-weights", "self-hosted", "self-hosted-from", "self-hosted-until", "self-hosted-part"]
ORDER = ("BLOCK  It", "   option", "BLOCK  break-even", "it pays with", "WARN ", "self-hosted", "if only this", "input")
"""How the lines of a report begin, from its top to its end."""


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", "--today", "2026-11-22", *arguments])


def words(*arguments: str) -> str:
    """What is printed, on one line."""
    return " ".join(run(*arguments).stdout.split())


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


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)
"""Five million values once it is walked, or told in a message."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "workload: {tokenPerMonth: 1}",
            "scenario.yaml:1: workload.tokenPerMonth: unknown key (did you mean tokensP",
        ),
        ("", "scenario.yaml:1: expected a map of keys, got null"),
        ("[", "scenario.yaml:1: not YAML: "),
        ("a: 1\na: 2", "scenario.yaml:2: a: stands twice; keep one"),
        ("b:\n  c:\n  - d: 1\n    d: 2", "scenario.yaml:4: b.c[0].d: stands twice; keep one"),
        ("a: !!python/object:os.system {}", "not YAML: could not determine a constructor"),
        ("a: \x00", "not YAML"),
        ("? [1]\n: 2", "not YAML"),
        (BOMB, "scenario.yaml:1: is over 64 keys deep, or over 20,000 values large"),
    ],
    ids=["typo", "empty", "not YAML", "twice", "twice, deep down", "a tag", "binary", "odd key", "a bomb"],
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


AS_YAML = """\
# what is asked
workload: {tokensPerMonth: 6e9}
managed:
  usdPerMillionTokens: 5
fleet:
  nodes:
    a:
      candidates:
        - {cloud: lambda, region: x, sku: y}
        - {cloud: lambda, region: x}
    b: {candidates: [{cloud: aws, region: x, sku: y}]}
"""
AS_JSON = """\
{
  "workload": {"tokensPerMonth": 6000, "kind": "asserted"},
  "managed": {"usdPerMillionTokens": 5},
  "fleet": {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759}
}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (AS_YAML, "scenario:10: fleet.nodes.a.candidates[1].sku: missing"),
        (
            AS_YAML.replace("x}", "x, sku: z}").replace(": 5", ": -5"),
            "scenario:4: managed.usdPerMillionTokens: must",
        ),
        (AS_JSON, "scenario:2: workload.tokensPerMonth: 6000 tokens a month cost $0.03 managed"),
        (AS_JSON.replace("4759", '"fast"'), "scenario:4: fleet.tokensPerSecond: must be a number"),
        (AS_JSON.replace("2,", "2;"), "scenario:4: not YAML: "),
    ],
    ids=["an item of a list", "YAML", "what only the gate sees", "JSON", "broken JSON"],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    """In YAML and in JSON, as a compiler would; the path is as it was given."""
    (tmp_path / "scenario").write_text(text)
    done = run("--file", str(tmp_path / "scenario"))
    assert (done.exit_code, f"cannot evaluate: {tmp_path}/{said}" in done.stderr) == (3, True)


def test_a_baseline_tells_its_own_lines(scenario_file: Write, tmp_path: Path) -> None:
    """Not the scenario's."""
    baseline = tmp_path / "baseline.yaml"
    baseline.write_text("nodes: 2\nusdPerMonth: 19940\napprovedBy: a. person\ndate: soon\n")
    done = run("--file", scenario_file(), "--baseline", str(baseline))
    assert done.stderr == f"cannot evaluate: {baseline}:4: date: must be a date as YYYY-MM-DD, got 'soon'\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stack", "no-such-stack"],
        ["--file", "no-such-file.yaml"],
        ["--file", "."],
        ["--bogus"],
        ["--today", "soon", "--file", __file__],
        ["--stack", "local", "--file", __file__],
        ["--stack", "local", "--baseline", __file__],
    ],
    ids=["no such stack", "no such file", "a folder", "unknown option", "no day", "file and stack", "stack, baseline"],
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
    assert "baseline.yaml:1: approvedBy: missing" in broken.stderr


def test_old_prices_only_warn_in_a_plan(scenario_file: Write) -> None:
    """The quotation of March is 241 days old in November; its distance from live prices is told."""
    done = run("--file", scenario_file(fleet={"nodes": 2, "sku": "quoted/lambda-8x-a100-80gb"}, workload=SERVED))
    text = " ".join(done.stdout.split())
    assert done.exit_code == 0
    assert "241 days old" in text
    assert "live price seen 2026-09-20 is $22.32/h × 730 = $16,293.60, +105.7 %" in text


def test_an_unknown_sku_is_a_verdict_and_not_an_error(scenario_file: Write) -> None:
    """price-known blocks; what cannot be known is null, in words unknown."""
    path = scenario_file(fleet={"nodes": 2, "sku": "lambda/nonsense"}, workload=SERVED)
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


def test_the_report_tells_every_figure(scenario_file: Write) -> None:
    """Of facts/breakeven.md: 5.572B = (3 × 7,920 + 4,100)/5; 24 months cost 24 × 27,860 and 24 × 30,000 a month."""
    text = words("--file", scenario_file("6e9", workload={"peakToMean": 2}))
    for told in (
        "WARN It pays: $2,140/month saved at 6B tokens/month, $51,360 over 24 months.",
        "$27,860/month with the 3 nodes that it needs ($19,940/month with the 2 given)",
        "$30,000/month at $5/M tokens",
        "simple 3.988B, first 3.988B, stable 5.572B tokens/month",
        "3 needed of 2 nodes at 4,759 tokens/s each, 24 % busy on average; survives the loss of one",
        "self-hosted $668,640, managed $720,000: $51,360 saved; self-hosting is ahead all along; best start: now",
        "recommendation self-hosted",
        "$20,000 to $80,000/month managed: cheaper models for easy requests come first",
        "At their defaults: growthPerMonth 0,",
    ):
        assert told in text
    assert re.search(r"stable P10 \S+, P50 \S+, P90 \S+; it pays in \S+ % of the draws, for good in \S+ %", text)


def test_the_report_discounts_where_asked(scenario_file: Write) -> None:
    """20,000 up front against 2,140 a month are met after 20000/2140 = 9.35 months, at any discount."""
    horizon = {"upfrontUsd": 20000, "discountRatePerYear": 0.08}
    text = words("--file", scenario_file("6e9", workload={"peakToMean": 2}, horizon=horizon))
    factor = sum(1.08 ** (-month / 12) for month in range(1, 25))
    saved = f"${round(2140 * factor - 20000):,} saved (net present values at 8 % a year; undiscounted it saves $31.4k)"
    assert f"{saved}; self-hosting is ahead from month 9.35 on; best start: now" in text


@pytest.mark.parametrize(
    ("volume", "more", "answer"),
    [
        (
            "6e9",
            {"horizon": {"upfrontUsd": 1_000_000}},
            "BLOCK It does not pay over 24 months: $758,560 too much, though $10,060/month are saved at 6B "
            "tokens/month. Blocked for: horizon.",
        ),
        (
            "2e9",
            {"workload": {"growthPerMonth": 0.15}},
            "BLOCK It does not pay yet: $9,940/month too much at 2B tokens/month, though 24 months save $1,022,558. "
            "Blocked for: break-even, probability.",
        ),
        (
            "2e9",
            {},
            "BLOCK It does not pay: $9,940/month too much at 2B tokens/month, $238,560 over 24 months. "
            "Blocked for: break-even, horizon, probability.",
        ),
    ],
)
def test_the_first_line_looks_at_the_month_and_at_the_horizon(
    scenario_file: Write, volume: str, more: dict[str, Any], answer: str
) -> None:
    """19,940 a month; 24 × 10,060 − 1,000,000; 1,841,678 − 819,120, as the contract of the scenario has it."""
    assert words("--file", scenario_file(volume, **more)).startswith(answer)


def test_the_report_begins_with_the_options_then_what_decides_then_what_would_flip_it(scenario_file: Write) -> None:
    """All six in their order, each once; the recommended one is marked; the warnings come after the block."""
    lines = run("--file", scenario_file("500e6", workload={"kind": "asserted"})).stdout.splitlines()
    top = next(n for n, line in enumerate(lines) if line.startswith("   option")) + 1
    rows = lines[top : next(n for n in range(top, len(lines)) if not lines[n].strip())]
    assert [line[3:].split()[0] for line in rows if line[3] != " "] == OPTIONS
    assert [line[3:].split()[0] for line in lines if line.startswith("→")] == ["managed"]
    at = {word: next(n for n, line in enumerate(lines) if line.startswith(word)) for word in ORDER}
    assert list(at) == sorted(at, key=lambda word: at[word])


def test_of_several_models_the_sum_comes_first_and_then_each(tmp_path: Path) -> None:
    """Two at $19,940 − $2,050 of shared overhead; the answer is the sum's."""
    model = {
        "workload": {"tokensPerMonth": 6e9, "peakToMean": 1.3, "model": "meta-llama/Llama-3.3-70B-Instruct"},
        "managed": {"usdPerMillionTokens": 5, "model": "gpt-4o", "source": "an invoice", "date": "2026-11-01"},
        "fleet": {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
    }
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"models": {"one": model, "other": model}}))
    lines = run("--file", str(path)).stdout.splitlines()
    saved = 2 * 30_000 - 2 * (2 * 7920) - 4100
    assert lines[0].startswith(f"WARN  It pays: ${saved:,}/month saved, ")
    assert [line for line in lines if line.startswith("== ")] == ["== one", "== other"]
    assert sum(line.strip().startswith("self-hosted-part") for line in lines) == 2
    charts = tmp_path / "charts"
    assert run("--file", str(path), "--charts", str(charts)).exit_code == 0
    assert sorted(path.name for path in charts.iterdir()) == ["one", "other"]
    assert len(list((charts / "other").iterdir())) == 16


def test_what_blocks_though_it_pays_is_in_the_first_line(scenario_file: Write) -> None:
    fleet = {"nodes": 1, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759}
    assert words("--file", scenario_file("6e9", fleet=fleet)).startswith(
        "BLOCK Blocked for redundancy, though it pays: $17,980/month saved at 6B tokens/month, $431,520 over 24 months."
    )


def test_ages_and_citations_stand_beside_the_inputs(scenario_file: Write) -> None:
    """The quotation of 2026-03-26 is 241 days old on 2026-11-22."""
    text = run("--file", scenario_file(fleet={"nodes": 2, "sku": "quoted/lambda-8x-a100-80gb"}, workload=SERVED)).stdout
    assert re.search(r"^usdPerNodeMonth +7,920  2026-03-26, 241 d  quoted/lambda", text, re.MULTILINE)
    assert re.search(r"^nodes +2 +scenario *$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((-10, 10), "█████████│█████████"),
        ((10, -10), "█████████│█████████"),
        ((0, 0), "         │         "),
        ((0, 10), "         │█████████"),
    ],
)
def test_a_bar_spans_its_ends(ends: tuple[int, int], shown: str) -> None:
    """On a scale from -10 to 10 with 0 expected, in 19 characters: the middle is the tenth."""
    low, high = (Fraction(end) for end in ends)
    swing = HorizonSwing("volume", Decimal(1), Decimal(1), Decimal(1), low, high, None, None)
    assert bar(swing, Fraction(0), Fraction(-10), Fraction(10)) == shown


@given(
    volume=st.integers(5, 12),
    price=st.sampled_from(["0.0001", "0.8", "5", "9999"]),
    nodes=st.integers(2, 10_000),
    rho=st.sampled_from(["1", "2.5"]),
)
@settings(max_examples=40, deadline=None)
def test_nothing_is_cut_off_or_wider_than_80_columns(volume: int, price: str, nodes: int, rho: str) -> None:
    """However large or small the figures are."""
    data: dict[str, Any] = {
        "workload": {"tokensPerMonth": f"1.23456789e{volume}", "kind": "measured", "peakToMean": rho},
        "managed": {"usdPerMillionTokens": price, "source": "x", "date": "2026-11-01"},
        "fleet": {"nodes": nodes, "usdPerNodeMonth": "7920.55", "tokensPerSecond": "4759.25"},
        "uncertainty": {"draws": 100},
    }
    verdict = verdict_of(parse_scenario(data), load_catalogue(), date(2026, 11, 22), bills_money=False)
    judged = verdict.shown
    assert judged is not None
    out = StringIO()
    show(verdict, date(2026, 11, 22), Console(file=out, width=80, highlight=False))
    assert max(len(line) for line in out.getvalue().splitlines()) <= 80
    assert "…" not in out.getvalue()
    assert f" {Decimal(data['workload']['tokensPerMonth']):,f} ".replace(".00 ", " ") in out.getvalue()
    bars = out.getvalue().partition("if only this is")[2]
    for swing in tornado(judged.reading, judged.horizon, judged.sigmas, judged.outlook):
        row = next(line for line in bars.splitlines() if re.match(f"{NAMES[swing.name]}  ", line))
        assert {compact_usd(swing.low_saving_usd), compact_usd(swing.high_saving_usd)} <= set(row.split())


def test_colour_is_for_a_person_only(scenario_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = scenario_file()
    assert "\x1b" not in run("--file", path).output
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;32mPASS" in run("--file", path).stdout


def test_without_a_file_the_local_stack_is_judged_as_up_would() -> None:
    """Its committed configuration: two nodes that stand for a quotation, asserted; nothing bills, so both only warn."""
    document = json.loads(run("--json").stdout)
    assert (document["verdict"], document["fixedUsdPerMonth"]) == ("WARN", 19940)
    assert {"price-fresh", "volume-measured", "same-weights"} <= {reason["code"] for reason in document["reasons"]}
    assert document == json.loads(run("--json", "--stack", "local").stdout)


@pytest.fixture
def billing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """billing(**sections) is `plan --json` of a stack like local on a cloud that bills, and `up`'s verdict on it."""
    monkeypatch.setattr(stack, "REPOSITORY", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: crossover")
    config = yaml.safe_load((ROOT / "stacks" / "config" / "Pulumi.local.yaml").read_text())
    for key, node in config["config"]["crossover:fleet"]["nodes"].items():
        node["candidates"] = [{"cloud": "quoted", "region": key, "sku": "lambda-8x-a100-80gb"}]
    file = tmp_path / "stacks" / "config" / "Pulumi.prod.yaml"
    file.parent.mkdir(parents=True)

    def planned(**sections: Any) -> Any:
        own = {f"crossover:{key}": value for key, value in sections.items()}
        file.write_text(yaml.safe_dump({"config": {**config["config"], **own}}))
        return run("--stack", "prod", "--json"), stack.judged("prod", date(2026, 11, 22))

    return planned


def levels(document: Any) -> dict[str, str]:
    return {reason["code"]: reason["level"] for reason in document["reasons"]}


BASELINE = {"nodes": 2, "usdPerMonth": 19940, "approvedBy": "a. person", "date": "2026-09-01"}


def test_what_only_bills_are_refused_for_warns_in_a_plan_of_a_stack(billing: Callable[..., Any]) -> None:
    """price-fresh: a quotation of 241 days for a machine of a cloud that bills. That `up` blocks it is told."""
    done, in_up = billing()
    document = json.loads(done.stdout)
    assert (done.exit_code, document["verdict"], str(in_up.level)) == (0, "WARN", "BLOCK")
    assert levels(document)["price-fresh"] == "WARN"
    [said] = [reason["message"] for reason in document["reasons"] if reason["code"] == "price-fresh"]
    assert said.endswith(" A plan bills nothing, so it only warns here; `up` of this stack is refused for it.")


def test_an_asserted_volume_only_warns_in_a_plan_of_a_stack(billing: Callable[..., Any]) -> None:
    """volume-measured: a fleet that runs for 82 days, and grows. It does not pay either, which blocks here too."""
    fleet = {"nodes": {key: {"candidates": [{"cloud": "quoted", "region": key, "sku": "lambda-8x-a100-80gb"}]}
                       for key in "abc"}}  # fmt: skip
    done, in_up = billing(fleet=fleet, baseline=BASELINE)
    assert {reason.code: str(reason.level) for reason in in_up.reasons}["volume-measured"] == "BLOCK"
    assert levels(json.loads(done.stdout))["volume-measured"] == "WARN"
    done, _ = billing(managed={"usdPerMillionTokens": 1})
    assert (done.exit_code, levels(json.loads(done.stdout))["break-even"]) == (2, "BLOCK")


def test_what_up_lets_through_is_told_in_a_plan_as_there(billing: Callable[..., Any], tmp_path: Path) -> None:
    """A repair within the baseline, and a waiver, which is used."""
    done, in_up = billing(baseline=BASELINE)
    assert (done.exit_code, json.loads(done.stdout)["inputs"]["baselineNodes"]["value"]) == (0, 2)
    assert "`up` of this stack" not in done.stdout
    assert "Repair within the baseline" in done.stdout
    entry = {
        "policy": "price-fresh", "stack": "prod", "owner": "ada", "approver": "grace", "reason": "no answer yet",
        "ticket": "OPS-1", "created": "2026-11-01", "expires": "2026-12-01",
    }  # fmt: skip
    (tmp_path / "waivers.yaml").write_text(yaml.safe_dump([entry]))
    done, in_up = billing()
    assert levels(json.loads(done.stdout))["price-fresh"] == "WAIVED"
    assert not [note for note in in_up.notes if "not used" in note]


def test_a_stack_that_cannot_be_judged_exits_3_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stack, "REPOSITORY", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: crossover")
    file = tmp_path / "stacks" / "config" / "Pulumi.local.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("config:\n  crossover:workload: {tokenPerMonth: 1}\n")
    done = run("--json")
    assert done.exit_code == 3
    assert any(
        "Pulumi.local.yaml:2: crossover:workload.tokenPerMonth: unknown key" in line
        for line in json.loads(done.stdout)["errors"]
    )


def test_a_clock_that_is_no_date_is_a_wrong_call(scenario_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSOVER_TODAY", "soon")
    done = CliRunner().invoke(app, ["plan", "--file", scenario_file()])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "CROSSOVER_TODAY is 'soon'" in done.stderr


def test_as_a_process(scenario_file: Write) -> None:
    """The installed entry: exit code, one document, nothing on standard error."""
    command = [sys.executable, "-m", "scripts.crossover", "plan", "--json", "--file", scenario_file("500e6")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ})
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["verdict"] == "BLOCK"
