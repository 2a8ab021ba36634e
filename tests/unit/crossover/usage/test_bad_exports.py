"""Every kind of bad export: exit code 3 and one line with file, line and key."""

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
from tests.unit.crossover.usage import traffic

Page = dict[str, Any]
DAILY = traffic.daily(range(30, 0, -1), lambda back: (900, 300, 500))
HOURLY = traffic.hourly(range(30, 0, -1), lambda back, hour: (90, 30, 50))


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """imported({"a.json": text}, "--option"): exit code and what was said, on today's fixed day."""

    monkeypatch.chdir(tmp_path)

    def run(files: dict[str, str | bytes], *options: str) -> tuple[int, str]:
        for name, content in files.items():
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        done = CliRunner().invoke(app, ["usage", "import", *files, "--today", "2026-11-22", *options])
        assert (tmp_path / "usage.yaml").exists() == (done.exit_code == 0)
        return done.exit_code, done.output

    return run


Imported = Callable[..., tuple[int, str]]


def changed(change: Callable[[Page], Any], write: Callable[..., str] = traffic.openai) -> str:
    page = json.loads(write(DAILY))
    change(page)
    return json.dumps(page)


def first(page: Page) -> dict[str, Any]:
    result: dict[str, Any] = page["data"][0]["results"][0]
    return result


CSV = traffic.plain_csv(DAILY)

BAD = {
    "negative": (
        changed(lambda p: first(p).update(output_tokens=-1)),
        "e.txt:1: data[0].results[0].output_tokens: is negative: -1",
    ),
    "NaN": (
        changed(lambda p: first(p).update(input_tokens=float("nan"))),
        "data[0].results[0].input_tokens: must be a whole count of tokens, got nan",
    ),
    "infinite": (changed(lambda p: first(p).update(output_tokens=float("inf"))), "output_tokens: must be a whole"),
    "a fraction": (changed(lambda p: first(p).update(output_tokens=1.5)), "must be a whole count of tokens, got 1.5"),
    "a flag": (changed(lambda p: first(p).update(output_tokens=True)), "must be a count of tokens, got True"),
    "absurd": (changed(lambda p: first(p).update(output_tokens=10**17)), "is absurd: 1e+17 tokens in one record"),
    "more cached than input": (
        changed(lambda p: first(p).update(input_cached_tokens=1201)),
        "data[0].results[0]: input_cached_tokens: 1201 cached of 1200 input tokens",
    ),
    "no input": (changed(lambda p: first(p).pop("input_tokens")), "no input_tokens; is the format right?"),
    "another usage": (
        changed(lambda p: first(p).update(object="organization.usage.embeddings.result")),
        "data[0].results[0].object: is organization.usage.embeddings.result; only the usage of completions",
    ),
    "a bucket twice": (
        changed(lambda p: p["data"].append(p["data"][3])),
        "e.txt:1: data[30].results[0]: stands twice, first at e.txt:1: data[3].results[0]; was a page given twice",
    ),
    "a bucket that ends before it begins": (
        changed(lambda p: p["data"][0].update(end_time=0)),
        "data[0].end_time: is not after start_time",
    ),
    "a week's bucket": (
        changed(lambda p: p["data"][0].update(end_time=p["data"][0]["start_time"] + 604800)),
        "buckets of 604800 s: export buckets of a day, an hour or a minute",
    ),
    "six hours' bucket": (
        changed(lambda p: p["data"][0].update(end_time=p["data"][0]["start_time"] + 21600)),
        "buckets of 21600 s",
    ),
    "a day of another zone": (
        changed(
            lambda p: [b.update(start_time=b["start_time"] - 7200, end_time=b["end_time"] - 7200) for b in p["data"]]
        ),
        "not at midnight in UTC; name the zone of its days with --timezone",
    ),
    "the future": (
        changed(
            lambda p: p["data"][0].update(
                start_time=p["data"][0]["start_time"] + 40 * 86400, end_time=p["data"][0]["end_time"] + 40 * 86400
            )
        ),
        "lies in the future: 2026-12-02T00:00:00+00:00, after 2026-11-22",
    ),
    "no time": (changed(lambda p: p["data"][0].update(start_time="noon")), "data[0].start_time: must be a time, as"),
    "another schema in a page": (
        changed(lambda p: p["data"].append({"starting_at": "2026-11-01T00:00:00Z", "results": []})),
        "data[30]: no bucket with start_time, end_time and results; one export has one format",
    ),
    "grouped by model and not": (
        changed(lambda p: p["data"][5]["results"].append({"input_tokens": 1, "output_tokens": 1, "model": None})),
        "data[5].results[1]: mixes results by model with results of all models",
    ),
    "hours within days": (
        changed(lambda p: p["data"].append({**p["data"][0], "end_time": p["data"][0]["start_time"] + 3600})),
        "data[30]: 2026-10-23 has buckets of different widths",
    ),
    "truncated": (traffic.openai(DAILY)[:-300], "ends in the middle; is the file truncated?"),
    "not JSON": (traffic.openai(DAILY).replace('"results"', "results", 1), "e.txt:8: data[0]: not JSON: "),
    "not JSON behind": (traffic.openai(DAILY) + "x", "not JSON: expected { or [, got 'x'"),
    "no bucket": ('{"start_time": 1, "data": [1]}', "data[0]: no bucket with start_time"),
    "empty": ("", "e.txt: is empty"),
    "nothing known": ("hello\n", "the format cannot be told; name it with --format: openai, anthropic"),
    "an empty page": ('{"object": "page", "data": [], "x": "start_time\\""}', "the format cannot be told"),
    "a cache write that is no map": (
        changed(lambda p: first(p).update(cache_creation=3), traffic.anthropic),
        "cache_creation: must be a map of token counts",
    ),
    "an ungrouped csv row": (CSV + "2026-11-01,m,1\n", "e.txt:32: has 3 fields, the header 5"),
    "another csv": (
        CSV.replace("cached", "cashed", 1),
        "e.txt:1: cashed: unknown column; did you mean cached?",
    ),
    "a column twice": ("date,input,output,input\n", "e.txt:1: the column input stands twice"),
    "a day twice": (CSV + CSV.splitlines()[1] + "\n", "e.txt:32: stands twice, first at e.txt:2"),
    "a negative row": (CSV + "2026-11-21,n,-5,0,1\n", "e.txt:32: input: is negative: -5"),
    "a day with a time": (CSV + "2026-11-21T10:00,n,5,0,1\n", "e.txt:32: date: must be a day as 2026-10-01"),
    "an open quote": (CSV + '2026-11-21,"n,5,0,1\n', "e.txt:32: not CSV: "),
    "another litellm row": (
        '[{"startTime": "2026-11-01T00:00:00Z", "request_id": "r", "prompt_tokens": 1, "completion_tokens": 1}, {}]',
        "e.txt:1: [1]: no row of LiteLLM_SpendLogs",
    ),
    "a litellm row without an identity": (
        '[{"startTime": "2026-11-01T00:00:00Z", "prompt_tokens": 1, "completion_tokens": 1}]',
        "[0]: no request_id",
    ),
    "metadata that is not JSON": (
        'request_id,startTime,prompt_tokens,completion_tokens,metadata\nr,2026-11-01T00:00:00Z,1,1,{"a"\n',
        "e.txt:2: metadata: is not JSON",
    ),
    "a raw Prometheus counter": (
        '{"status": "success", "data": {"resultType": "matrix", "result": '
        '[{"metric": {"__name__": "vllm:prompt_tokens_total"}, "values": []}]}}',
        "data.result[0].metric: has no label tokens of input, cached, output",
    ),
    "a Prometheus error": (
        '{"status": "error", "errorType": "bad_data", "error": "no"}',
        "Prometheus answered error: bad_data",
    ),
    "an empty Prometheus": (
        '{"status": "success", "data": {"resultType": "matrix", "result": []}}',
        "e.txt: Prometheus knows no such series",
    ),
    "an instant query": (
        '{"status": "success", "data": {"result": [], "resultType": "vector"}}',
        "resultType must be matrix",
    ),
    "NaN in Prometheus": (
        '{"status": "success", "data": {"resultType": "matrix", "result": '
        '[{"metric": {"tokens": "input"}, "values": [[1795305600, "NaN"]]}]}}',
        "data.result[0].values[0]: must be a count of tokens, got NaN",
    ),
    "Prometheus' other hours": (
        '{"status": "success", "data": {"resultType": "matrix", "result": '
        '[{"metric": {"tokens": "input"}, "values": [[1795305660, "1"]]}]}}',
        "does not end with an hour; ask with step=3600",
    ),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_a_bad_export_is_refused_in_one_line(imported: Imported, text: str, said: str) -> None:
    code, output = imported({"e.txt": text})
    assert code == 3
    assert said in output
    assert len(output.splitlines()) == 1


def renamed(old: str, new: str, write: Callable[..., str] = traffic.openai) -> str:
    """An export with one key, or column, in another spelling."""
    return write(DAILY).replace(old, new)


SLIPS = {
    "a token count of openai": (renamed("input_tokens", "imput_tokens"), "imput_tokens", "input_tokens"),
    "a count that may be absent": (renamed("t_cached_t", "t_cache_t"), "input_cache_tokens", "input_cached_tokens"),
    "in camel case": (renamed("output_tokens", "outputTokens"), "outputTokens", "output_tokens"),
    "a bucket's start": (renamed("start_time", "startime"), "startime", "start_time, as in openai"),
    "a bucket's end": (renamed("end_time", "endtime"), "data[0].endtime", "end_time"),
    "a bucket's results": (renamed("results", "result"), "data[0].result", "results"),
    "of anthropic": (
        renamed("cache_read_input", "cache_read", traffic.anthropic),
        "cache_read_tokens",
        "cache_read_input_tokens",
    ),
    "anthropic's writes": (
        renamed("cache_creation", "cache_creations", traffic.anthropic),
        "cache_creations",
        "cache_creation",
    ),
    "of a litellm request": (
        traffic.litellm_logs(HOURLY).replace("completion_tokens", "completions_tokens"),
        "e.txt:1: completions_tokens",
        "completion_tokens",
    ),
    "a litellm request's time": (
        traffic.litellm_logs(HOURLY).replace("startTime", "start_time"),
        "e.txt:1: start_time",
        "startTime",
    ),
    "a litellm request's identity": (
        traffic.litellm_logs(HOURLY).replace("request_id", "requestid"),
        "e.txt:1: requestid",
        "request_id",
    ),
    "a column of litellm's days": (
        renamed("prompt_tokens", "promt_tokens", traffic.litellm_daily),
        "e.txt:1: promt_tokens: unknown column",
        "prompt_tokens, as in litellm",
    ),
    "a column": (CSV.replace("input", "imput"), "e.txt:1: imput: unknown column", "input, as in csv"),
    "a column that no format is told by": (CSV.replace("model", "modell"), "e.txt:1: modell: unknown column", "model"),
    "a column in capitals": (CSV.replace("date", "Date"), "e.txt:1: Date: unknown column", "date, as in csv"),
}


@pytest.mark.parametrize(("text", "slip", "meant"), SLIPS.values(), ids=SLIPS)
def test_a_misspelt_key_or_column_names_the_nearest_that_is_known(
    imported: Imported, text: str, slip: str, meant: str
) -> None:
    """Also where the key may be absent: what was cached would count as fresh otherwise, in silence."""
    code, output = imported({"e.txt": text})
    assert code == 3
    assert output.startswith("cannot evaluate: e.txt:")
    assert slip in output
    assert output.endswith(f"did you mean {meant}?\n")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (
            "date,model,input_tokens,cached_tokens,output_tokens",
            "; nearest is csv, but there is no cached, input, output",
        ),
        ("input_uncached_tokens", "litellm, prometheus, csv\n"),
    ],
)
def test_columns_that_are_no_slip_name_the_nearest_format_if_any(imported: Imported, columns: str, told: str) -> None:
    code, output = imported({"e.csv": columns + "\n"})
    assert (code, told in output) == (3, True)
    assert output.startswith("cannot evaluate: e.csv:1: the format cannot be told; name it with --format: openai, ")


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
    "tabs": (CSV.replace(",", "\t").encode(), "e.csv:1: the columns are separated by '\\t', they must be by ','"),
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
        changed(lambda p: p["data"].reverse()),
        traffic.openai(DAILY).replace(": 1200", ': "1200"'),
        CSV.replace("1200", " 1200.0 "),
        CSV + "\r\n   \r\n",
    ],
    ids=["another order", "numbers as strings", "spaces and decimals", "empty lines"],
)
def test_what_means_the_same_counts_the_same(imported: Imported, text: str) -> None:
    code, output = imported({"e.txt": text}, "--json")
    assert (code, json.loads(output)["tokensPerMonth"]) == (0, round(1700 * 730 / 24))


def test_so_few_tokens_may_be_millions(imported: Imported) -> None:
    """17 a day: whole numbers, so it cannot be known, but it is asked."""
    code, output = imported({"e.csv": CSV.replace("1200", "12").replace("300", "3").replace("500", "5")}, "--json")
    (_, note) = json.loads(output)["notes"][::-1]
    assert code == 0
    assert note.startswith("517 tokens a month are few: does the export count in thousands or millions?")


def test_files_of_one_name_are_told_apart(imported: Imported) -> None:
    """By their folders in messages; the usage file has the name alone."""
    code, output = imported({"a/e.csv": CSV, "b/e.csv": CSV})
    assert (code, "b/e.csv:2: stands twice, first at a/e.csv:2; " in output) == (3, True)
    halves = {"a/e.csv": traffic.plain_csv(DAILY[:15]), "b/e.csv": traffic.plain_csv(DAILY[15:])}
    code, output = imported(halves, "--json")
    assert (code, [source["name"] for source in json.loads(output)["sources"]]) == (0, ["e.csv", "e.csv"])


@pytest.mark.parametrize("write", [traffic.plain_csv, traffic.litellm_daily])
def test_two_files_that_share_a_day(imported: Imported, write: Callable[..., str]) -> None:
    code, output = imported({"one.csv": write(DAILY[:20]), "two.csv": write(DAILY[19:])})
    assert (code, "two.csv:2: stands twice, first at one.csv:21; " in output) == (3, True)


def test_a_folder_is_a_wrong_call(imported: Imported, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    done = CliRunner().invoke(app, ["usage", "import", "exports"])
    assert (done.exit_code, "exports is a folder, name its files" in done.output) == (1, True)


def test_a_file_that_may_not_be_read(imported: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

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
        list(stream.rows(stream.Export("e.csv", Failing(CSV.encode() * 100))))


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


def test_a_byte_order_mark_is_no_part_of_the_header(imported: Imported) -> None:
    """Spreadsheets write one."""
    assert imported({"e.csv": b"\xef\xbb\xbf" + CSV.encode()})[0] == 0


def test_overlapping_pages_name_both_places(imported: Imported) -> None:
    two = {"one.json": traffic.openai(DAILY[:20]), "two.json": traffic.openai(DAILY[19:])}
    code, output = imported(two)
    assert code == 3
    assert "two.json:4: data[0].results[0]: stands twice, first at one.json:327: data[19].results[0]; " in output


def test_joined_csv_files_may_repeat_their_header(imported: Imported) -> None:
    assert imported({"e.csv": traffic.plain_csv(DAILY[:15]) + traffic.plain_csv(DAILY[15:])})[0] == 0


def test_gaps_are_named_and_scaled_or_refused_or_empty(imported: Imported) -> None:
    """Three of 30 days may be missing; four may not, unless nothing ran on them."""
    three = traffic.plain_csv([*DAILY[:10], *DAILY[13:]])
    code, output = imported({"e.csv": three})
    assert code == 0
    assert "3 days are missing" in output
    assert "the mean of the other 27" in " ".join(output.split())
    four = {"f.csv": traffic.plain_csv([*DAILY[:10], *DAILY[14:]])}
    code, output = imported(four, "--zero-gaps", "--json")
    document = json.loads(output)
    assert (code, document["days"], document["perDay"]["least"]) == (0, 30, 0)
    assert document["tokensPerMonth"] == round(1700 * 26 * 730 / 720)


def test_four_gaps_are_refused(imported: Imported) -> None:
    code, output = imported({"f.csv": traffic.plain_csv([*DAILY[:10], *DAILY[14:]])})
    assert code == 3
    assert "2026-11-02, 2026-11-03, 2026-11-04, 2026-11-05" in output


def test_an_hour_that_is_missing_makes_its_day_a_gap(imported: Imported) -> None:
    """Buckets cover a day in full or not at all."""
    code, output = imported({"e.json": traffic.openai([*HOURLY[:245], *HOURLY[246:]])}, "--json")
    assert (code, json.loads(output)["gaps"]) == (0, ["2026-11-02"])


def test_partial_days_at_the_ends_are_dropped_and_said(imported: Imported) -> None:
    """The first day begins at 05:00; today is not over."""
    today = traffic.hourly([0], lambda back, hour: (10**9, 0, 0))[:7]
    large = traffic.hourly(range(30, 0, -1), lambda back, hour: (10**6, 0, 0))
    code, output = imported({"e.json": traffic.openai([*large[5:], *today])}, "--json")
    document = json.loads(output)
    assert (code, document["days"], document["from"], document["to"]) == (0, 29, "2026-10-24", "2026-11-21")
    assert document["notes"] == ["dropped as partial (openai): 2026-10-23, 2026-11-22"]


def test_a_log_that_was_cut_loses_its_ends(imported: Imported) -> None:
    """A log does not say where it begins: a first hour or a last hour without a request means a partial day."""
    code, output = imported({"e.jsonl": traffic.litellm_logs(HOURLY[3:-2])}, "--json")
    document = json.loads(output)
    assert (code, document["from"], document["to"]) == (0, "2026-10-24", "2026-11-20")


def test_too_few_days_and_the_forecast(imported: Imported) -> None:
    code, output = imported({"e.json": traffic.openai(DAILY[-13:])})
    assert (code, "call it a forecast with --forecast" in output) == (3, True)
    code, output = imported({"e.json": traffic.openai(DAILY[-13:])}, "--forecast", "--json")
    assert (code, json.loads(output)["kind"]) == (0, "forecast")


def test_models_that_nobody_names(imported: Imported) -> None:
    code, output = imported({"e.json": traffic.openai(DAILY)}, "--models", "claude-*")
    assert (code, "--models chooses none of m" in output) == (3, True)
    page = json.loads(traffic.openai(DAILY))
    for bucket in page["data"]:
        bucket["results"][0]["model"] = None
    code, output = imported({"f.json": json.dumps(page)}, "--models", "m")
    assert (code, "names no model, so --models cannot choose; export it grouped by model" in output) == (3, True)


def test_errors_as_json_are_one_document(imported: Imported) -> None:
    code, output = imported({"e.json": "[]"}, "--format", "openai", "--json")
    assert (code, json.loads(output)["errors"]) == (3, ["e.json: no record"])
