"""Files as they come: other encodings, line ends and orders; folders, pipes, and disks that fail."""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app
from scripts.crossover.usage import stream
from scripts.crossover.usage.record import BadExport
from scripts.crossover.usage.table import rows
from tests.unit.crossover.usage import traffic

Imported = Callable[..., tuple[int, str]]
DAILY = traffic.daily(range(30, 0, -1), lambda back: (900, 300, 500))
HOURLY = traffic.hourly(range(30, 0, -1), lambda back, hour: (90, 30, 50))
CSV = traffic.plain_csv(DAILY)

OTHERWISE = {
    "gzip": (gzip.compress(CSV.encode()), "e.csv: is compressed (gzip); unpack it first"),
    "a spreadsheet": (b"PK\x03\x04\x14\x00\x06\x00", "e.csv: is a zip archive or a spreadsheet; export CSV or JSON"),
    "UTF-16": (CSV.encode("utf-16"), "e.csv: is UTF-16; save it as UTF-8"),
    "UTF-16 without a mark": (CSV.encode("utf-16-le"), "e.csv: is binary, or UTF-16; export text as UTF-8"),
    "Latin-1": (CSV.encode() + b"2026-11-01,caf\xe9,1,0,1\n", "e.csv:32: not UTF-8 (byte 0xe9)"),
    "Latin-1, far down": (
        CSV.encode() + b"2026-11-01,n,0,0,0\n\n" + b"\n" * 200_000 + b"caf\xe9",
        "e.csv:200034: not UTF-8 (byte 0xe9)",
    ),
    "nothing but a header": (CSV.encode().splitlines()[0], "e.csv: no record"),
    "semicolons": (CSV.replace(",", ";").encode(), "e.csv:1: the columns are separated by ';', they must be by ','"),
    "tabs": (
        CSV.replace(",", "\t").encode(),
        "e.csv:1: is TSV: the columns are separated by '\\t', they must be",
    ),
    "an API's refusal": (b'{"error": {"code": "x"}}', "e.csv:1: error: is an API's refusal, no export; ask it again"),
    "millions": (
        CSV.replace("1200", "0.0012").encode(),
        "e.csv:2: input: must be a whole count of tokens, got '0.0012'; if it is in thousands or millions, multiply",
    ),
}


@pytest.mark.parametrize(("data", "said"), OTHERWISE.values(), ids=OTHERWISE)
def test_a_file_that_is_written_otherwise_says_how(imported: Imported, data: bytes, said: str) -> None:
    """No format given, but where none can be told: then the reading itself says it."""
    code, output = imported({"e.csv": data}, *(["--format", "csv"] if b"caf\xe9" in data else []))
    assert (code, len(output.splitlines())) == (3, 1)
    assert said in output


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_change_nothing(imported: Imported, end: str) -> None:
    for text in (CSV.replace("\r\n", "\n"), traffic.openai(DAILY)):
        code, output = imported({"e.txt": text.replace("\n", end)}, "--json")
        assert (code, json.loads(output)["tokensPerMonth"]) == (0, round(1700 * 730 / 24))


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_their_lines_are_counted_as_an_editor_does(imported: Imported, end: str) -> None:
    code, output = imported({"e.txt": CSV.replace("\r\n", end) + f"2026-11-21,n,-1,0,1{end}"})
    assert (code, "e.txt:32: input: is negative: -1" in output) == (3, True)


@pytest.mark.parametrize(
    "text",
    [
        traffic.openai(DAILY[::-1]),
        traffic.openai(DAILY).replace(": 1200", ': "1200"'),
        CSV.replace("1200", " 1200.0 "),
        CSV + "\r\n   \r\n",
    ],
    ids=["another order", "numbers as strings", "spaces and decimals", "empty lines"],
)
def test_what_means_the_same_counts_the_same(imported: Imported, text: str) -> None:
    code, output = imported({"e.txt": text}, "--json")
    assert (code, json.loads(output)["tokensPerMonth"]) == (0, round(1700 * 730 / 24))


def test_files_of_one_name_are_told_apart(imported: Imported) -> None:
    """By their folders in messages; the usage file has the name alone."""
    code, output = imported({"a/e.csv": CSV, "b/e.csv": CSV})
    assert (code, "b/e.csv:2: stands twice, first at a/e.csv:2; " in output) == (3, True)
    halves = {"a/e.csv": traffic.plain_csv(DAILY[:15]), "b/e.csv": traffic.plain_csv(DAILY[15:])}
    code, output = imported(halves, "--json")
    assert (code, [source["name"] for source in json.loads(output)["sources"]]) == (0, ["e.csv", "e.csv"])


def test_a_byte_order_mark_is_no_part_of_the_header(imported: Imported) -> None:
    """Spreadsheets write one."""
    assert imported({"e.csv": b"\xef\xbb\xbf" + CSV.encode()})[0] == 0


def test_a_folder_is_a_wrong_call(imported: Imported, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    done = CliRunner().invoke(app, ["usage", "import", "exports"])
    assert (done.exit_code, "exports is a folder, name its files" in done.output) == (1, True)


def test_a_file_that_may_not_be_read(imported: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    as_ever = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "e.csv":
            raise PermissionError(13, "Permission denied")
        return as_ever(path, *arguments, **options)

    monkeypatch.setattr("scripts.crossover.usage.stream.Path.open", refuse)
    Path("e.csv").touch()
    done = CliRunner().invoke(app, ["usage", "import", "e.csv"])
    assert (done.exit_code, done.output) == (3, "cannot evaluate: e.csv: cannot be read: Permission denied\n")


def test_a_pipe_is_read_like_a_file(imported: Imported, tmp_path: Path) -> None:
    """So that a compressed export needs no room: <(gunzip -c e.csv.gz)."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(CSV,))
    writer.start()
    done = CliRunner().invoke(app, ["usage", "import", "pipe", "--today", "2026-11-22", "--json"])
    writer.join()
    assert (done.exit_code, json.loads(done.stdout)["days"]) == (0, 30)


class Failing(io.BytesIO):
    """A disk that fails behind the first reads."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > stream.SNIFFED:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_disk_that_fails_in_the_middle_is_one_line() -> None:
    with pytest.raises(BadExport, match=r"^e.csv:\d+: cannot be read on: Input/output error$"):
        list(rows(stream.Export("e.csv", Failing(CSV.encode() * 100))))


def test_a_temporary_folder_that_is_full_is_one_line(imported: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which records were seen stands there."""
    made = sqlite3.connect

    def small(name: str, isolation_level: None) -> sqlite3.Connection:
        database: sqlite3.Connection = made(name, isolation_level=isolation_level)
        database.execute("PRAGMA max_page_count=3")
        return database

    monkeypatch.setattr("scripts.crossover.usage.series.sqlite3.connect", small)
    code, output = imported({"e.json": traffic.openai(HOURLY)})
    assert (code, len(output.splitlines())) == (3, 1)
    assert "the temporary file of what was seen: database or disk is full; name a larger folder in TMPDIR" in output


def test_a_value_that_does_not_fit_into_memory_is_not_called_truncated(
    imported: Imported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list under a key that is none of a page's, a text without an end; and a slip far before it is still found."""
    monkeypatch.setattr(stream, "CHUNK", 100)
    monkeypatch.setattr(stream, "SNIFFED", 100)
    monkeypatch.setattr(stream, "MOST_OF_AN_ELEMENT", 2000)
    said = "e.json:1: buckets: is one value of over 2,000 characters"
    for text in ('{"start_time": 1, "buckets": [' + "[1], " * 2000, '{"start_time": 1, "buckets": "' + "x" * 9000):
        assert imported({"e.json": text}) == (3, f"cannot evaluate: {said}\n")
    broken = '{"start_time": 1,\n"buckets": [\n1 2' + " " * 9000
    assert imported({"e.json": broken}) == (
        3,
        "cannot evaluate: e.json:3: buckets: not JSON: Expecting ',' delimiter\n",
    )
