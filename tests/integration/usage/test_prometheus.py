"""`crossover usage import` against a real Prometheus that holds a month of vLLM's counters."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app
from tests.integration.gateway.harness import wait_for
from tests.support.ports import free_port

END = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
STEP_S = 600
PER_SECOND = {"vllm:prompt_tokens": 100, "vllm:prefix_cache_hits": 25, "vllm:generation_tokens": 40}
RESTART = END - 20 * 86400


def counters() -> str:
    """33 days of two nodes in OpenMetrics; node b restarts once, so its counters begin anew."""
    lines = []
    for name, rate in PER_SECOND.items():
        lines.append(f"# TYPE {name} counter")
        for node in "ab":
            value = 0
            for at in range(END - 33 * 86400, END + 1, STEP_S):
                value = 0 if node == "b" and at == RESTART else value + rate * STEP_S
                lines.append(f'{name}_total{{job="vllm",node="{node}",engine="0",model_name="llama-70b"}} {value} {at}')
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A Prometheus that scrapes nothing and knows that month."""
    for program in ("prometheus", "promtool"):
        assert shutil.which(program), f"{program} is missing: scripts/bootstrap installs it"
    (tmp_path / "counters.om").write_text(counters())
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", "counters.om", "data"],
        cwd=tmp_path, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    port = free_port()
    process = subprocess.Popen(
        ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=10y",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        cwd=tmp_path,
    )  # fmt: skip
    try:
        wait_for("Prometheus is ready", lambda: _ready(f"http://127.0.0.1:{port}"), 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/-/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        time.sleep(0.05)
        return False


def test_the_volume_of_a_real_prometheus(address: str, tmp_path: Path) -> None:
    """Two nodes at 140 tokens/s are 2 × 140 × 730 h; a restart is no negative increase, and costs under a day's 1 %."""
    out = str(tmp_path / "usage.yaml")
    done = CliRunner().invoke(app, ["usage", "import", address, "--today", "2026-11-22", "--out", out, "--json"])
    assert done.exit_code == 0, done.output
    usage = json.loads(done.stdout)
    assert usage["tokensPerMonth"] == pytest.approx(2 * 140 * 730 * 3600, rel=1e-3)
    assert (usage["days"], usage["gaps"], usage["peakBasis"]) == (30, [], "hourly")
    assert usage["inputShare"] == pytest.approx(100 / 140, abs=1e-4)
    assert usage["cachedShare"] == pytest.approx(0.25, abs=1e-4)
    assert usage["peakToMean"] == pytest.approx(1, abs=0.01)
