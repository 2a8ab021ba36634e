"""`crossover usage import` and `show`, the scenario that names the file, a live Prometheus, memory."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest
import yaml
from typer.testing import CliRunner

from cost_guard.scenario.documents import read_usage
from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.usage import parse_usage
from scripts.crossover.__main__ import app
from scripts.crossover.stack import state
from scripts.crossover.usage.readers import prometheus
from scripts.crossover.usage.record import BadExport
from tests.unit.crossover.usage import traffic

ROOT = Path(__file__).parents[4]
TODAY = "2026-11-22"
HOURLY = traffic.hourly(range(30, 0, -1), lambda back, hour: (9_000_000 + hour, 3_000_000, 5_000_000))


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a month of hours in page.json."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.json").write_text(traffic.openai(HOURLY))
    return tmp_path


def test_import_writes_what_show_shows(folder: Path) -> None:
    """The file parses to the same numbers, says where they come from, and holds no path."""
    told = json.loads(run("usage", "import", "page.json", "--today", TODAY, "--json").stdout)
    shown = json.loads(run("usage", "show", "usage.yaml", "--json").stdout)
    assert shown == told
    assert told["tokensPerMonth"] == round(sum(b.total for b in HOURLY) * 730 / 720)
    (source,) = told["sources"]
    assert (source["name"], source["format"], source["records"]) == ("page.json", "openai", 720)
    text = (folder / "usage.yaml").read_text()
    assert str(folder) not in text
    assert text.startswith("# Token volume, made by `crossover usage import`.")
    assert parse_usage(yaml.safe_load(text)).peak_basis == "hourly"


def test_the_hash_is_the_file_s(folder: Path) -> None:
    """So that a reviewer can tell which export was imported."""
    run("usage", "import", "page.json", "--today", TODAY)
    digest = hashlib.sha256((folder / "page.json").read_bytes()).hexdigest()
    assert yaml.safe_load((folder / "usage.yaml").read_text())["sources"][0]["sha256"] == digest


def test_tables_for_people(folder: Path) -> None:
    done = run("usage", "import", "page.json", "--today", TODAY)
    assert done.exit_code == 0
    for part in ("tokens/month, measured", "P10 to P90", "2026-10-23 to 2026-11-21: 30 full days", "page.json (openai"):
        assert part in done.stdout


def test_a_gateway_and_a_provider_may_count_twice(folder: Path) -> None:
    """No identity tells, so it is said."""
    (folder / "logs.jsonl").write_text(traffic.litellm_logs(HOURLY))
    done = run("usage", "import", "page.json", "logs.jsonl", "--today", TODAY, "--json")
    assert json.loads(done.stdout)["notes"] == [
        "litellm, openai were added up: make sure that no request is counted by two of them"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        ["absent.json"],
        ["page.json", "--format", "excel"],
        ["page.json", "--timezone", "Mars/Olympus"],
        ["page.json", "--today", "soon"],
        ["page.json", "--counters", "all"],
        ["page.json", "--peak-to-mean", "0.5"],
        ["page.json", "--out", "absent/usage.yaml"],
        [],
    ],
)
def test_a_wrong_call_exits_1(folder: Path, wrong: list[str]) -> None:
    assert run("usage", "import", "--today", TODAY, *wrong).exit_code == 1
    assert not (folder / "usage.yaml").exists()


def test_days_of_another_zone(folder: Path) -> None:
    """With --timezone, days begin at that zone's midnight, a day of 25 hours among them."""
    zone = ZoneInfo("Europe/Berlin")
    buckets = []
    for back in range(30, 0, -1):
        day = date(2026, 11, 22) - timedelta(days=back)
        start, end = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (day, day + timedelta(days=1)))
        start = start.astimezone(UTC)
        buckets.append(traffic.Bucket(start, end.astimezone(UTC) - start, "m", 600, 200, 200))
    assert {b.width for b in buckets} == {timedelta(hours=24), timedelta(hours=25)}
    (folder / "berlin.json").write_text(traffic.openai(buckets))
    assert run("usage", "import", "berlin.json", "--today", TODAY).exit_code == 3
    done = run("usage", "import", "berlin.json", "--today", TODAY, "--timezone", "Europe/Berlin", "--json")
    assert json.loads(done.stdout)["tokensPerMonth"] == round(1000 * 730 / 24)


# --- the scenario ---


SCENARIO = """
workload: {usage: usage.yaml}
managed: {usdPerMillionTokens: 5}
fleet: {nodes: 2, usdPerNodeMonth: 7920, tokensPerSecond: 4759}
"""


def test_plan_reads_the_usage_file_beside_the_scenario(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("usage", "import", "page.json", "--today", TODAY)
    (folder / "scenario.yaml").write_text(SCENARIO)
    monkeypatch.chdir("/")
    document = json.loads(run("plan", "--file", str(folder / "scenario.yaml"), "--today", TODAY, "--json").stdout)
    volume = document["inputs"]["tokensPerMonth"]
    assert (volume["value"], volume["date"]) == (round(sum(b.total for b in HOURLY) * 730 / 720), "2026-11-21")
    assert "volume-measured" not in [reason["code"] for reason in document["reasons"]]
    old = json.loads(run("plan", "--file", str(folder / "scenario.yaml"), "--today", "2027-03-01", "--json").stdout)
    assert "the volume is of 2026-11-21, 100 days old (over 90)" in str(old["reasons"])


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("absent.yaml", "workload.usage: there is no file absent.yaml; make it with `crossover usage import`"),
        ("../usage.yaml", "workload.usage: ../usage.yaml leads out of the folder"),
        ("/etc/hosts", "workload.usage: /etc/hosts leads out of the folder"),
        ("broken.yaml", "broken.yaml:1: not YAML"),
        ("twice.yaml", "twice.yaml:2: days: stands twice; keep one"),
        ("other.yaml", "other.yaml:1: tokensPerMonth: missing"),
        ("other.yaml", "other.yaml:3: peakBasis: must be 'hourly', 'daily' or 'asserted', got 'weekly'"),
    ],
)
def test_a_usage_file_that_cannot_be_used(folder: Path, named: str, said: str) -> None:
    (folder / "broken.yaml").write_text("a: [")
    (folder / "twice.yaml").write_text("days: 1\ndays: 2\n")
    (folder / "other.yaml").write_text("# made\ndays: 1\npeakBasis: weekly\n")
    with pytest.raises(ScenarioError) as caught:
        read_usage({"workload": {"usage": named}}, folder)
    assert said in str(caught.value)


# --- a live Prometheus ---


class _Prometheus(BaseHTTPRequestHandler):
    """Answers what a test says and keeps what it was asked."""

    status, answer = 200, b""
    asked: ClassVar[list[tuple[str, str | None, dict[str, list[str]]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.path, self.headers["Authorization"], parse_qs(body)))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(status: int, answer: str) -> Iterator[str]:
    handler = type("Handler", (_Prometheus,), {"status": status, "answer": answer.encode(), "asked": []})
    _Prometheus.asked = handler.asked  # type: ignore[attr-defined]
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_prometheus_is_asked_for_31_days_of_hours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The query is the documented one; the token goes into the header and nowhere else."""
    monkeypatch.setenv(prometheus.TOKEN_VARIABLE, "a-bearer-token")
    with serving(200, traffic.prometheus(HOURLY)) as address:
        done = run("usage", "import", address, "--today", TODAY, "--json")
    document = json.loads(done.stdout)
    assert document["tokensPerMonth"] == round(sum(b.total for b in HOURLY) * 730 / 720)
    ((path, authorization, form),) = _Prometheus.asked
    assert (path, authorization) == ("/api/v1/query_range", "Bearer a-bearer-token")
    assert form["query"] == [prometheus.query("vllm")]
    midnight = 1795305600  # 2026-11-22T00:00:00Z
    assert [float(form[key][0]) for key in ("start", "end", "step")] == [midnight - 31 * 86400 + 3600, midnight, 3600]
    assert "a-bearer-token" not in done.stdout + (folder / "usage.yaml").read_text()


def test_finding_18_a_stacks_prometheus_is_asked_with_the_stacks_password(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 18: our own commands have what it asks for. "Basic" is base64 of "crossover:the-password"."""
    names = ("endpoint", "endpointAddresses", "caCertificate", "endpointKey", "model", "managedModels", "prometheus")
    said = dict.fromkeys([*names, "alertmanager"], "") | {"monitoringKey": "pass-42"}
    monkeypatch.setattr(state, "pulumi", lambda *_: json.dumps(said))
    with serving(200, traffic.prometheus(HOURLY)) as address:
        done = run("usage", "import", address, "--today", TODAY, "--stack", "prod", "--json")
    ((_, authorization, _),) = _Prometheus.asked
    assert authorization == f"Basic {base64.b64encode(b'crossover:pass-42').decode()}"
    assert "pass-42" not in done.stdout + (folder / "usage.yaml").read_text()


@pytest.mark.parametrize(
    ("status", "said"), [(401, f"bearer token into {prometheus.TOKEN_VARIABLE}"), (503, "answers 503 to a range query")]
)
def test_a_prometheus_that_refuses(status: int, said: str) -> None:
    with serving(status, "") as address, pytest.raises(BadExport, match=said):
        prometheus.ask(address, "litellm", date(2026, 11, 22), UTC)


def test_a_prometheus_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(BadExport) as caught:
        prometheus.ask("http://user:hidden@127.0.0.1:1", "vllm", date(2026, 11, 22), UTC)
    assert str(caught.value) == "127.0.0.1: no answer from Prometheus: ConnectError"


# --- memory ---

MEASURE = """
import io, sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from scripts.crossover.usage.readers import litellm
from scripts.crossover.usage.series import Series
from scripts.crossover.usage.stream import Export

ROW = (
    '{"request_id": "%012d", "startTime": "2026-11-%02dT12:00:00Z", "prompt_tokens": 10, "completion_tokens": 1, '
    '"metadata": {"usage_object": {"cache_read_input_tokens": %d}}, "model": "m", "messages": "' + "x" * 900 + '"},'
)

class Endless(io.RawIOBase):
    def __init__(self, rows):
        self.rows, self.n, self.rest = rows, 0, b"["
    def readable(self):
        return True
    def read(self, size=-1):
        while len(self.rest) < size and self.n < self.rows:
            self.rest += b"".join((ROW % (n, 1 + n % 20, 30 * (n % 2))).encode() for n in range(self.n, self.n + 1000))
            self.n += 1000
            if self.n >= self.rows:
                self.rest = self.rest.rstrip(b",") + b"]"
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

def peak(rows):
    with closing(Series(UTC, date(2026, 11, 22))) as series, closing(Export("big", Endless(rows))) as export:
        assert series.add("litellm", litellm.FORMAT.records(export, UTC)) == rows
    # Of this program alone: ru_maxrss begins with what the process that started it had.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

small, large = peak(10_000), peak(80_000)
print(small, large)
"""


def test_memory_does_not_grow_with_the_export() -> None:
    """Eight times the rows (80 MB against 10 MB), half of which prove a convention, less than 8 MiB more: what 2 GB
    need too."""
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True)
    small_kib, large_kib = map(int, done.stdout.split())
    assert large_kib - small_kib < 8 * 1024
