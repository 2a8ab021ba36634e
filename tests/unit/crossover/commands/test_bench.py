"""`crossover bench` against the vLLM simulator, and its arithmetic."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cost_guard.catalogue.catalogue import DATA, load_catalogue
from scripts.crossover.__main__ import app
from scripts.crossover.bench import row
from scripts.crossover.bench.load import Load, Measured, Sample, measure, rates
from tests.unit.images.simulator.process import KEY, Server

SKU = "lambda/gpu_8x_a100_80gb_sxm4"
WEIGHTS = "Qwen/Qwen3-32B"
KEY_OF_ROW = f"8x-a100-sxm-80gb@{WEIGHTS}"
SPEEDS = ("--sim-prefill-tokens-per-s", "200", "--sim-sequence-tokens-per-s", "100")
LOAD = ("--concurrency", "2", "--warm-up", "0", "--duration", "0.4")
SHORT = ("--model", "org/model", "--weights", WEIGHTS, "--shape", "40/4", "--shape", "4/40", *LOAD)


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """The URL of one that demands KEY. It reads 40 tokens of two requests in as long as it writes 40, 0.4 s: P and D
    are found only where one shape takes less than ten times as long as the other, and a computer that stands still for
    a second takes its part of either."""
    server = Server("--api-key", KEY, "--max-model-len", "2048", *SPEEDS)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.close()


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("VLLM_API_KEY", KEY)

    def invoke(url: str, *arguments: str, sku: str = SKU) -> Any:
        told = ("--data", str(data), "--today", "2026-12-01", "--sku", sku)
        return CliRunner().invoke(app, ["bench", url, *told, *arguments])

    return invoke


# --- What counts -------------------------------------------------------------------------------------------------


def test_what_straddles_an_edge_counts_by_its_share() -> None:
    """From 10 to 20: a quarter of 400 and 40, all of 100 and 10, half of 200 and 20, nothing of what lies outside:
    (100 + 100 + 100)/10 and (10 + 10 + 10)/10 tokens a second, of three requests."""
    samples = [Sample(7, 11, 400, 40), Sample(12, 15, 100, 10), Sample(18, 22, 200, 20), Sample(1, 9, 999, 9)]
    assert rates(samples, 10, 20) == (30.0, 3.0, 3)


@given(st.integers(1, 20), st.floats(0.1, 5), st.floats(0, 0.9))
def test_a_steady_loop_is_counted_exactly_wherever_the_window_lies(workers: int, latency: float, offset: float) -> None:
    """N workers, each answered after L seconds with 30 tokens: N·30/L tokens a second, whatever the phase."""
    samples = [
        Sample((n + w / workers) * latency, (n + 1 + w / workers) * latency, 20, 10)
        for w in range(workers)
        for n in range(-2, 12)
    ]
    read, written, _ = rates(samples, offset * latency, offset * latency + 7 * latency)
    assert read + written == pytest.approx(workers * 30 / latency)


# --- The command -------------------------------------------------------------------------------------------------


def test_a_simulators_figure_is_refused(run: Any, simulator: str, data: Path) -> None:
    """Its speed is a setting; nothing is written."""
    before = (data / "throughput.toml").read_text()
    done = run(simulator, *SHORT, "--write")
    assert (done.exit_code, (data / "throughput.toml").read_text()) == (1, before)
    assert "the server is a simulator (0.32.0+simulator)" in done.stderr


def test_told_so_it_is_taken_as_illustrative(run: Any, simulator: str, data: Path) -> None:
    """As the row of that machine and model, with what was found at each shape; the gate reckons with it from then on,
    and no other row is another."""
    before = tomllib.loads((data / "throughput.toml").read_text())
    done = run(simulator, *SHORT, "--simulated", "--write", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["refused"], list(told["rows"])) == ("", [KEY_OF_ROW])
    row = load_catalogue(data).throughputs[KEY_OF_ROW]
    assert (row.kind, row.date.isoformat(), row.machine, row.model) == (
        "illustrative",
        "2026-12-01",
        "8x-a100-sxm-80gb",
        WEIGHTS,
    )
    rates = [float(one.tokens_per_second) for one in row.shapes]
    assert rates == pytest.approx([one["tokens_per_s"] for one in told["measured"]], abs=0.06)
    for shape, rate in zip(row.shapes, rates, strict=True):  # two shapes are met exactly by P and D
        share = shape.input_tokens / (shape.input_tokens + shape.output_tokens)
        fit = share / float(row.prefill_tokens_per_second) + (1 - share) / float(row.decode_tokens_per_second)
        assert 1 / fit == pytest.approx(rate, rel=1e-2)
    assert row.milliseconds_per_output_token is not None
    assert "crossover bench --model org/model --shape 40/4 --shape 4/40 --concurrency 2" in row.source
    after = tomllib.loads((data / "throughput.toml").read_text())
    assert {key for key in after if after[key] != before.get(key)} == {KEY_OF_ROW}


def test_without_write_the_row_is_shown(run: Any, simulator: str, data: Path) -> None:
    """As TOML that can be put into the file."""
    done = run(simulator, *SHORT, "--simulated")
    assert (done.exit_code, done.stderr) == (0, "")
    shown = tomllib.loads(done.stdout.partition("throughput.toml:\n")[2])
    assert list(shown) == [KEY_OF_ROW]
    assert (data / "throughput.toml").read_text() == (DATA / "throughput.toml").read_text()


def test_no_prefix_cache_helps_a_second_run() -> None:
    """Nor a second shape: no prompt begins as an earlier one did, so the server finds nothing in its cache."""
    server = Server("--max-model-len", "2048", "--sim-time-scale", "0")
    try:
        for shape in ((64, 4), (64, 4), (128, 4)):
            assert measure(f"http://127.0.0.1:{server.port}", Load("org/model", *shape, 2, 0, 0.1)).requests
        assert server.metric("vllm:prefix_cache_queries_total") > 0
        assert server.metric("vllm:prefix_cache_hits_total") == 0
    finally:
        server.close()


def test_one_share_of_input_tells_no_prefill_from_decode(run: Any) -> None:
    """Before anything is measured."""
    done = run("http://127.0.0.1:1", "--model", "m", "--weights", WEIGHTS, "--shape", "40/4", "--shape", "80/8", *LOAD)
    assert (done.exit_code, "give a second one" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("changed", "sku", "said"),
    [
        (("--model", "org/other"), SKU, "has no model 'org/other': it serves org/model"),
        ((), "lambda/unknown", "lambda/unknown has no price"),
        (("--weights", "org/none"), SKU, "org/none is not in the table of models"),
        (("--key-env", "NO_SUCH_KEY"), SKU, "the server refuses the key"),
        (("--shape", "4000/4"), SKU, "the server answers 400"),
    ],
)
def test_what_cannot_be_measured_exits_1(
    run: Any, simulator: str, changed: tuple[str, ...], sku: str, said: str
) -> None:
    """With the reason, and no key."""
    done = run(simulator, *SHORT, *changed, sku=sku)
    assert done.exit_code == 1
    assert said in done.stderr
    assert KEY not in done.stderr


@pytest.mark.parametrize("shape", ["1500", "1500/0", "0/5", "a/b", "-1/5"])
def test_a_shape_is_two_numbers(run: Any, shape: str) -> None:
    done = run("http://127.0.0.1:1", "--model", "m", f"--shape={shape}")
    assert (done.exit_code, "is no shape such as 1500/500" in done.stderr) == (1, True)


def test_an_unreachable_server_is_told(run: Any) -> None:
    done = run("http://127.0.0.1:1", *SHORT)
    assert (done.exit_code, "cannot be reached" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Measured(300, 100, 90, 0, 1.0, "0.32.0"), ""),
        (Measured(300, 100, 90, 1, 1.0, "0.32.0"), "1 request failed"),
        (Measured(200, 100, 90, 0, 1.0, "0.32.0"), "which is not the shape 1500/500"),
    ],
)
def test_only_a_clean_run_makes_a_row(found: Measured, said: str) -> None:
    """At most one request in a hundred failed, and the server counted the shape that was asked for."""
    refused = row.refusal(found, Load("m", 1500, 500, 8, 0, 10), simulated=False)
    assert said in refused if said else refused == ""


def test_a_bad_catalogue_exits_3(run: Any, data: Path) -> None:
    (data / "throughput.toml").write_text('["a@b"]\nsigma = 1\n')
    done = run("http://127.0.0.1:1", *SHORT)
    assert (done.exit_code, "throughput.toml:1: a@b.date: missing" in done.stderr) == (3, True)
