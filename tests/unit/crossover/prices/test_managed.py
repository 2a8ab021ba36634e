"""`crossover prices refresh --managed` on small tables of LiteLLM's shape; no network."""

from __future__ import annotations

import json
import subprocess
import threading
import zipfile
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import load_catalogue
from scripts.crossover.prices import litellm

TABLE: dict[str, Any] = {
    "m": {
        "input_cost_per_token": 2.5e-06, "cache_read_input_token_cost": 1.6000000000000001e-06,
        "output_cost_per_token": 1e-05, "input_cost_per_token_batches": 1.25e-06,
        "output_cost_per_token_batches": 5e-06, "source": "https://vendor.example/pricing", "mode": "chat",
        "litellm_provider": "vendor",
    },
    "org/n": {
        "input_cost_per_token": 1e-06, "cache_read_input_token_cost": 1e-06, "output_cost_per_token": 2e-06,
        "deprecation_date": "2027-01-01",
    },
    "gone": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "deprecation_date": "2026-11-30"},
    "free": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "odd": {"input_cost_per_token": "much", "output_cost_per_token": 2e-06},
    "image": {"input_cost_per_image": 0.04},
}  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(TABLE))
    return path


def test_the_table_becomes_rows(refresh: Any, data: Path, table: Path) -> None:
    """Per million instead of per token, without a float's noise; what halves in a batch is noted, a cache that saves
    nothing is not; the head has the table's hash. A second run changes nothing."""
    (data / "managed.toml").unlink()
    arguments = ("--table", str(table), "--write")
    assert refresh(*arguments, "--accept", "m", "--accept", "org/n").exit_code == 0
    text = (data / "managed.toml").read_text()
    lines = text.splitlines()
    assert lines[1].startswith("# The table's SHA-256: ")
    assert lines[5:] == [
        "[m]", "inputUsdPerMillion = 2.5", "cachedInputUsdPerMillion = 1.6", "outputUsdPerMillion = 10",
        "batchDiscount = 0.5", 'provider = "vendor"', "date = 2026-12-01",
        'source = "LiteLLM\'s table table.json, https://vendor.example/pricing"', "",
        '["org/n"]', "inputUsdPerMillion = 1", "outputUsdPerMillion = 2", "date = 2026-12-01",
        'source = "LiteLLM\'s table table.json"', 'note = "its vendor ends it on 2027-01-01"',
    ]  # fmt: skip
    assert refresh(*arguments).exit_code == 0
    assert (data / "managed.toml").read_text() == text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"m": {**TABLE["m"], "input_cost_per_token": 2.5e-3}}, "it looks like another unit, by a thousand"),
        ({"m": {**TABLE["m"], "input_cost_per_token": 0}}, "inputUsdPerMillion is 0, which is no price"),
        ({"m": {**TABLE["m"], "output_cost_per_token": -1e-05}}, "outputUsdPerMillion is -10, which is no price"),
        ({"m": {**TABLE["m"], "cache_read_input_token_cost": None}}, "cachedInputUsdPerMillion is no longer told"),
        ({"m": {**TABLE["m"], "deprecation_date": "2026-11-30"}}, "no longer offered"),
        ({}, "no longer offered"),
    ],
)
def test_doubtful_models_are_refused(refresh: Any, data: Path, table: Path, changed: dict[str, Any], said: str) -> None:
    """And stay as they are."""
    (data / "managed.toml").unlink()
    refresh("--table", str(table), "--write", "--accept", "m")
    before = (data / "managed.toml").read_text()
    table.write_text(json.dumps(changed))
    done = refresh("--table", str(table), "--write", "--json")
    [change] = json.loads(done.stdout)["changes"]
    assert said in change["reason"]
    assert (done.exit_code, (data / "managed.toml").read_text()) == (1, before)


SERVED = "deepinfra/Qwen/Qwen3-32B"


def test_whose_weights_a_model_is_stands_in_its_row_and_a_refresh_keeps_it(
    refresh: Any, data: Path, table: Path
) -> None:
    """One place: the table does not tell it, and no other file does."""
    table.write_text(json.dumps({SERVED: {**TABLE["m"], "litellm_provider": "deepinfra"}}))
    (data / "managed.toml").write_text("")
    refresh("--table", str(table), "--write", "--accept", SERVED)
    text = (data / "managed.toml").read_text()
    assert load_catalogue(data).managed[SERVED].weights is None
    (data / "managed.toml").write_text(f'{text}weights = "Qwen/Qwen3-32B"\n')
    dearer = {**TABLE["m"], "litellm_provider": "deepinfra", "output_cost_per_token": 1.1e-05}
    table.write_text(json.dumps({SERVED: dearer}))
    refresh("--table", str(table), "--write")
    found = load_catalogue(data)
    assert found.managed[SERVED].output_usd_per_million == 11
    assert found.managed[SERVED].provider == "deepinfra"
    assert found.same_weights("Qwen/Qwen3-32B") == [found.managed[SERVED]]


@pytest.mark.parametrize("key", ["gone", "image", "free", "odd"])
def test_what_has_no_price_cannot_be_added(refresh: Any, data: Path, table: Path, key: str) -> None:
    """A model that its vendor ended, one that is not billed by the token, one that is free, one with no number."""
    before = (data / "managed.toml").read_text()
    table.write_text(json.dumps({**TABLE}))
    assert refresh("--table", str(table), "--accept", key).exit_code == 1
    assert (data / "managed.toml").read_text() == before


def test_a_wheel_tells_version_and_date(tmp_path: Path) -> None:
    """Of the entry in it, so that the same wheel gives the same file on any day."""
    path = tmp_path / "litellm-9.8.7-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(zipfile.ZipInfo(litellm.MEMBER, (2026, 10, 21, 0, 0, 0)), json.dumps(TABLE))
    found = litellm.load(str(path), date(2026, 12, 1))
    assert (found.name, found.date, len(found.wheel_sha256)) == ("LiteLLM 9.8.7", date(2026, 10, 21), 64)


def test_the_pinned_wheel_comes_by_pip_against_the_locks_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version of the lock, whatever is newer, and every hash that the lock allows."""
    asked: dict[str, str] = {}

    def pip(command: list[str], **_: Any) -> Any:
        asked["flags"] = " ".join(command[1:])
        asked["wanted"] = Path(command[-1]).read_text()
        return subprocess.CompletedProcess(command, 1, "", "no way out\n")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(
        litellm.TableError, match=r"pip cannot fetch litellm 1\.106\.2: no way out; give the table by --t"
    ):
        litellm.load(None, date(2026, 12, 1))
    assert "--require-hashes" in asked["flags"]
    assert "--no-deps" in asked["flags"]
    first, *hashes = asked["wanted"].splitlines()
    assert first == "litellm==1.106.2 \\"
    assert "sha256:cb1a2a1e55a4a8350ae2167525dc0d06f59b078cd685fb3e0f5419f02da5420e" in "".join(hashes)
    assert all(line.lstrip().startswith("--hash=sha256:") for line in hashes)


@pytest.mark.parametrize("content", [b"[", b"[]", b"\xff"])
def test_a_table_that_is_none_is_told(refresh: Any, table: Path, content: bytes) -> None:
    table.write_bytes(content)
    done = refresh("--table", str(table))
    assert (done.exit_code, "litellm: " in done.stderr) == (1, True)


def test_an_announced_end_is_noted_though_the_price_stands(refresh: Any, data: Path, table: Path) -> None:
    refresh("--table", str(table), "--write", "--accept", "m")
    table.write_text(json.dumps({"m": {**TABLE["m"], "deprecation_date": "2027-03-30"}}))
    refresh("--table", str(table), "--write")
    assert load_catalogue(data).managed["m"].note == "its vendor ends it on 2027-03-30"


def test_a_table_at_an_address_is_dated_by_the_answer(tmp_path: Path, table: Path) -> None:
    """The server's day, not this computer's."""

    class Handler(SimpleHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return "Sat, 21 Nov 2026 07:28:00 GMT"

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = litellm.load(f"http://127.0.0.1:{server.server_port}/{table.name}", date(2026, 12, 1))
    finally:
        server.shutdown()
        server.server_close()
    assert (found.date, found.models["m"]["mode"]) == (date(2026, 11, 21), "chat")


def test_a_table_that_is_not_there_is_told(refresh: Any) -> None:
    for source in ("no/such/file.json", "no/such/file.whl", "http://127.0.0.1:1/table.json"):
        done = refresh("--table", source)
        assert (done.exit_code, "cannot be read from" in done.stderr) == (1, True)
