"""Every kind of bad export: exit code 3 and one line with file, line and key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scripts.crossover.usage.readers import FORMATS
from tests.unit.crossover.usage import traffic

Page = dict[str, Any]
DAILY = traffic.daily(range(30, 0, -1), lambda back: (900, 300, 500))
HOURLY = traffic.hourly(range(30, 0, -1), lambda back, hour: (90, 30, 50))


Imported = Callable[..., tuple[int, str]]


def changed(change: Callable[[Page], Any], write: Callable[..., str] = traffic.openai) -> str:
    page = json.loads(write(DAILY))
    change(page)
    return json.dumps(page)


def first(page: Page) -> dict[str, Any]:
    result: dict[str, Any] = page["data"][0]["results"][0]
    return result


CSV = traffic.plain_csv(DAILY)
UNTOLD = f"the format cannot be told; name it with --format: {', '.join(FORMATS)}"

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
    "a flag": (changed(lambda p: first(p).update(output_tokens=True)), "must be a count of tokens, got true"),
    "absurd": (changed(lambda p: first(p).update(output_tokens=10**17)), "is absurd: 1e+17 tokens in one record"),
    "more cached than input": (
        changed(lambda p: first(p).update(input_cached_tokens=1201)),
        "data[0].results[0]: input_cached_tokens: 1201 cached of 1200 input tokens",
    ),
    "no input": (changed(lambda p: first(p).pop("input_tokens")), "no input_tokens; is the format right?"),
    "another usage": (
        changed(lambda p: first(p).update(object="organization.usage.vector_stores.result")),
        "data[0].results[0].object: is organization.usage.vector_stores.result; only the usage of completions",
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
    "empty": ("", "e.txt:1: is empty"),
    "nothing known": ("hello\n", UNTOLD),
    "an empty page": ('{"object": "page", "data": [], "x": "start_time\\""}', UNTOLD),
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
        "e.txt:1: Prometheus knows no such series",
    ),
    "a Prometheus without output tokens": (
        '{"status": "success", "data": {"resultType": "matrix", "result": '
        '[{"metric": {"model": "m", "tokens": "input"}, "values": [[1762002000, "1"]]}]}}',
        "e.txt:1: there is no series with tokens=output; is its counter scraped?",
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
            "; nearest is csv, but there is no cached, input, output\n",
        ),
        ("input_uncached_tokens", "\n"),
    ],
)
def test_columns_that_are_no_slip_name_the_nearest_format_if_any(imported: Imported, columns: str, told: str) -> None:
    code, output = imported({"e.csv": columns + "\n"})
    assert (code, output) == (3, f"cannot evaluate: e.csv:1: {UNTOLD}{told}")


def test_overlapping_pages_name_both_places(imported: Imported) -> None:
    two = {"one.json": traffic.openai(DAILY[:20]), "two.json": traffic.openai(DAILY[19:])}
    code, output = imported(two)
    assert code == 3
    assert "two.json:4: data[0].results[0]: stands twice, first at one.json:327: data[19].results[0]; " in output


def test_so_few_tokens_may_be_millions(imported: Imported) -> None:
    """17 a day: whole numbers, so it cannot be known, but it is asked."""
    code, output = imported({"e.csv": CSV.replace("1200", "12").replace("300", "3").replace("500", "5")}, "--json")
    (_, note) = json.loads(output)["notes"][::-1]
    assert code == 0
    assert note.startswith("517 tokens a month are few: does the export count in thousands or millions?")


@pytest.mark.parametrize("write", [traffic.plain_csv, traffic.litellm_daily])
def test_two_files_that_share_a_day(imported: Imported, write: Callable[..., str]) -> None:
    code, output = imported({"one.csv": write(DAILY[:20]), "two.csv": write(DAILY[19:])})
    assert (code, "two.csv:2: stands twice, first at one.csv:21; " in output) == (3, True)


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
