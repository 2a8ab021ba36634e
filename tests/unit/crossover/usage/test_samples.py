"""What only one format does: rows as its public samples have them, and how it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from cost_guard.scenario.measuring import DayOfTokens
from tests.unit.crossover.usage import traffic
from tests.unit.crossover.usage.test_formats import days_of

Imported = Callable[..., tuple[int, str]]
DAY = date(2026, 11, 20)
AT = 1795132800  # 2026-11-20T00:00:00Z
HOURS = traffic.hourly([2, 1], lambda *_: (9, 3, 5))

# --- OpenAI's dashboard ---


def dashboard(*rows: str) -> str:
    """Rows (times, project, requests, key, model, input, output, cached) under the columns that tell."""
    header = "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,api_key_id,model,batch"
    return "\n".join([f"{header},input_tokens,output_tokens,input_cached_tokens", *rows])


def row(start: int, counts: str, key: str = "key_a", width: int = 60, batch: str = "False") -> str:
    return f"{start},{start + width},iso,iso,proj,3.0,{key},gpt-5,{batch},{counts}"


def minutes() -> list[str]:
    """A row of 100, 10 and 40 in the first minute of every hour, an empty bucket in the second."""
    times = [AT + 3600 * hour for hour in range(24)]
    return [line for at in times for line in (row(at, "100,10,40"), f"{at + 60},{at + 120},iso,iso,,,,,,,,")]


def test_minutes_of_the_dashboard_are_added_up_and_may_be_empty() -> None:
    assert days_of(dashboard(*minutes())) == {DAY: DayOfTokens(24 * 60, 24 * 40, 24 * 10, (110,) * 24)}


def test_a_group_in_several_rows_of_its_bucket_adds_up() -> None:
    """The sample has the same project, user, key and model twice on a day, with other counts."""
    more = [row(AT, "100,10,40"), row(AT, "1.0,2.0,0.0"), row(AT, "5,5,5", key="key_b"), *minutes()[1:]]
    (found,) = days_of(dashboard(*more)).values()
    assert found is not None
    assert (found.fresh, found.cached, found.output) == (24 * 60 + 1, 24 * 40 + 5, 24 * 10 + 7)


def test_the_dashboard_s_row_twice_or_in_two_files(imported: Imported) -> None:
    """The very same row, and a bucket that comes again in another export of an overlapping time."""
    code, output = imported({"e.csv": dashboard(row(AT, "1,1,0"), row(AT, "1,1,0"))})
    assert (code, "e.csv:3: stands twice in its bucket" in output) == (3, True)
    code, output = imported({"a.csv": dashboard(row(AT, "1,1,0")), "b.csv": dashboard(row(AT, "2,2,0"))})
    assert (code, "b.csv:2: stands twice, first at a.csv:2" in output) == (3, True)


def test_embeddings_of_the_dashboard_are_told_by_their_columns() -> None:
    header = "start_time,end_time,start_time_iso,end_time_iso,num_model_requests,model,input_tokens"
    text = "\n".join([header, f"{AT},{AT + 86400},iso,iso,2.0,text-embedding-3-small,500.0"])
    assert days_of(text) == {DAY: DayOfTokens(0, 0, 0, None, (("embeddings", 500),))}


def test_a_dashboard_s_export_of_a_quiet_time_has_times_alone() -> None:
    text = f"start_time,end_time,start_time_iso,end_time_iso\n{AT},{AT + 86400},iso,iso"
    assert days_of(text) == {DAY: DayOfTokens(0, 0, 0)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (dashboard(row(AT, "1,1,2")), "e.csv:2: input_cached_tokens: 2 cached of 1 input tokens"),
        (dashboard(row(AT, "1,1,0", width=-60)), "e.csv:2: end_time: is not after start_time"),
        (dashboard(row(AT, "1.5,1,0")), "e.csv:2: input_tokens: must be a whole count"),
        (dashboard().replace("input_tokens", "imput_tokens", 1), "imput_tokens: unknown column; did you mean input"),
        (dashboard().replace("input_cached", "input_cashed"), "input_cashed_tokens: unknown column; did you mean"),
        ("start_time,end_time,start_time_iso,num_images\n", "has no column input_tokens; export the usage of comp"),
    ],
)
def test_a_dashboard_s_export_that_is_refused(imported: Imported, text: str, said: str) -> None:
    code, output = imported({"e.csv": text})
    assert (code, said in output) == (3, True)


# --- OpenRouter ---


def test_what_the_activity_does_not_tell_is_said(imported: Imported) -> None:
    daily = traffic.daily(range(30, 0, -1), lambda back: (900, 0, 500))
    code, output = imported({"e.json": traffic.openrouter_activity(daily)}, "--json")
    document = json.loads(output)
    assert (code, document["cachedShare"], document["sources"][0]["format"]) == (0, 0, "openrouter")
    assert any("does not tell what was cached" in note for note in document["notes"])


def test_a_day_of_the_activity_may_have_a_midnight() -> None:
    text = traffic.openrouter_activity(traffic.daily([2], lambda back: (9, 0, 5))).replace("-20", "-20 00:00:00", 1)
    assert list(days_of(text)) == [DAY]


def test_more_cached_than_sent_is_all_that_was_sent() -> None:
    """OpenRouter's tokenizer counts the prompt, the model's the cache."""
    text = traffic.openrouter_csv(HOURS[:24]).replace(",12,5,0,3,", ",12,5,0,13,")
    (found,) = days_of(text).values()
    assert found is not None
    assert (found.fresh, found.cached) == (0, 24 * 12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("generation_id,created_at,cost_total\ng,2026-11-20 00:00:00,0\n", "has no column tokens_completion"),
        (traffic.openrouter_csv(HOURS).replace("tokens_cached", "token_cached"), "did you mean tokens_cached"),
        ('{"data": [{"model_permaslug": "m", "prompt_tokens": 1, "completion_tokens": 1}]}', "date: must be a day"),
        ('{"data": [{"model_permaslug": "m"}, 3]}', "date: must be a day"),
    ],
)
def test_an_export_of_openrouter_that_is_refused(imported: Imported, text: str, said: str) -> None:
    code, output = imported({"e.txt": text})
    assert (code, said in output) == (3, True)


# --- Bedrock ---


def logs(change: Callable[[dict[str, Any]], Any]) -> str:
    found = [json.loads(line) for line in traffic.bedrock(HOURS[:24]).splitlines()]
    for one in found:
        change(one)
    return "\n".join(map(json.dumps, found))


def test_a_request_of_bedrock_that_failed_served_nothing() -> None:
    text = logs(lambda one: one.update(errorCode="ThrottlingException") if one["requestId"] == "r-3" else None)
    (found,) = days_of(text).values()
    assert found is not None
    assert (found.fresh, found.cached, found.output) == (23 * 9, 23 * 3, 23 * 5)


def test_embeddings_of_bedrock_are_told_by_their_model() -> None:
    (found,) = days_of(traffic.bedrock([*HOURS[:24]]).replace('/m"', '/amazon.titan-embed-text-v2:0"')).values()
    assert found is not None
    assert (found.total, found.left_out) == (0, (("embeddings", 24 * 17),))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.pop("requestId"), "no requestId"),
        (lambda one: one.pop("modelId"), "no model invocation log"),
        (lambda one: one.update(input=3), "input: must be a map with token counts"),
        (lambda one: one["input"].update(inputTokenCount=-1), "input.inputTokenCount: is negative: -1"),
        (lambda one: one.update(timestamp="noon"), "timestamp: must be a time"),
        (lambda one: one.update(requestId="r"), "stands twice"),
    ],
)
def test_a_log_of_bedrock_that_is_refused(
    imported: Imported, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    code, output = imported({"e.jsonl": logs(change)})
    assert (code, said in output) == (3, True)


def test_an_event_that_holds_no_log_is_refused(imported: Imported) -> None:
    text = json.dumps({"events": [{"message": '{"schemaType": "ModelInvocationLog"'}]})
    code, output = imported({"e.json": text})
    assert (code, "events[0].message: is not JSON" in output) == (3, True)


# --- Azure ---


def monitor(change: Callable[[dict[str, Any]], Any]) -> str:
    answer = json.loads(traffic.azure(traffic.hourly([2, 1], lambda *_: (9, 0, 5))))
    change(answer)
    return json.dumps(answer)


def test_an_hour_without_traffic_has_no_total() -> None:
    def quiet(answer: dict[str, Any]) -> None:
        for metric in answer["value"]:
            metric["timeseries"][0]["data"][0].pop("total")

    found = days_of(monitor(quiet))
    assert [day and day.total for day in found.values()] == [23 * 14, 24 * 14]


def test_the_names_of_all_models_metrics_are_read_too() -> None:
    text = monitor(lambda answer: None).replace("ProcessedPromptTokens", "InputTokens")
    (first, _) = days_of(text.replace("GeneratedTokens", "OutputTokens")).values()
    assert first == DayOfTokens(24 * 9, 0, 24 * 5, (14,) * 24)


def test_azure_s_series_of_several_dimensions_add_up() -> None:
    """A series for each deployment and version; the deployment is the model."""
    two = [*traffic.hourly([2], lambda *_: (9, 0, 5)), *traffic.hourly([2], lambda *_: (1, 0, 1), "n")]
    (day,) = days_of(traffic.azure(two)).values()
    assert day == DayOfTokens(24 * 10, 0, 24 * 6, (16,) * 24)
    (day,) = days_of(traffic.azure(two), models=("n",)).values()
    assert day == DayOfTokens(24, 0, 24, (2,) * 24)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a.update(interval="soon"), "interval: must be an interval as PT1H, got 'soon'"),
        (lambda a: a["value"].pop(1), "there is no metric of the output; ask for ProcessedPromptTokens and"),
        (
            lambda a: a["value"][0]["timeseries"][0]["data"].__setitem__(0, {"timeStamp": "2026-11-20", "average": 1}),
            "value[0].timeseries[0].data[0]: has no total; ask for",
        ),
        (lambda a: a["value"].append(a["value"][0]), "counts this input twice; ask for one metric of each side"),
        (lambda a: a["value"][0].update(timeseries=3), "value[0]: is no metric with name and timeseries"),
        (lambda a: a["value"][0]["timeseries"][0].update(data=3), "timeseries[0]: is no time series with data"),
        (lambda a: a["value"][0]["timeseries"][0]["data"].append(3), "data[48]: is no point with timeStamp"),
        (lambda a: a["value"][0]["timeseries"][0].update(metadatavalues=[3]), "metadatavalues: is no list of names"),
        (lambda a: a.pop("value"), "is no metric with name and timeseries"),
    ],
)
def test_an_answer_of_azure_that_is_refused(
    imported: Imported, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    code, output = imported({"e.json": monitor(change)}, "--forecast")
    assert (code, said in output) == (3, True)


def test_metrics_without_their_interval_are_refused(imported: Imported) -> None:
    """`--query value` leaves it out."""
    text = json.dumps(json.loads(monitor(lambda answer: None))["value"])
    code, output = imported({"e.json": text}, "--forecast")
    assert (code, "is no answer with value and interval" in output) == (3, True)


def test_azure_does_not_tell_what_was_cached(imported: Imported) -> None:
    code, output = imported({"e.json": monitor(lambda answer: None)}, "--forecast", "--json")
    assert (code, "azure: no metric tells what was cached" in output) == (0, True)
