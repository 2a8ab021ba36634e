"""`make bench`: what `crossover usage import` takes, in time and memory, for exports of a chosen size.

`python -m tests.bench.usage MIB [FOLDER]` makes each export of that many MiB in FOLDER, imports it, checks the volume
against the formula of `expected`, and deletes it. Prints rows for docs/performance.md.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FIRST, TODAY = datetime(2026, 10, 23, tzinfo=UTC), "2026-11-22"
DAYS, HOURS = 30, 24
MIB = 1 << 20
SMALL_MIB = 32
MODELS = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "o3-mini-2025-01-31")
TEXT = 'said "yes", and\nno; ' * 40
"""What a log may hold of a request: quotes, commas, line ends."""


def main() -> None:
    """Measures and prints."""
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else SMALL_MIB
    above = sys.argv[2] if len(sys.argv) > 2 else None
    print("\n| Import of | Records | Took | Of a core | Peak memory |\n|---|---|---|---|---|")
    for name, (write, sample) in EXPORTS.items():
        each_hour = max(1, mib * MIB // (len(sample()) * DAYS * HOURS))
        with tempfile.TemporaryDirectory(dir=above) as folder:
            path = Path(folder) / "export"
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines(write(each_hour))
            size_mib = path.stat().st_size / MIB
            told, took_s, core_s, peak_mib = imported(path)
        check(told, each_hour)
        records = DAYS * HOURS * each_hour
        cost = f"{took_s:.1f} s | {core_s:.1f} s | {peak_mib:.0f} MiB"
        print(f"| {size_mib:,.0f} MiB of {name} | {records:,} | {cost} |", flush=True)


def tokens(day: int, hour: int) -> tuple[int, int, int]:
    """Input, the cached part of it, and output of each record of an hour."""
    return 1000 + day + hour, 200 + day, 100


def expected(each_hour: int) -> dict[str, Any]:
    """The volume in closed form: with `tokens`, a day counts 24 × (1100 + day) + 276 for each record of its hours."""
    total = each_hour * (DAYS * HOURS * 1100 + HOURS * 435 + DAYS * 276)  # 435 = 0 + … + 29, 276 = 0 + … + 23
    given = total - each_hour * DAYS * HOURS * 100
    cached = each_hour * (DAYS * HOURS * 200 + HOURS * 435)
    return {
        "tokensPerMonth": round(total * 730 / 720),
        "inputShare": given * 10**6 // total / 10**6,
        "cachedShare": cached * 10**6 // given / 10**6,
        "days": DAYS,
        "least": each_hour * (HOURS * 1100 + 276),
        "most": each_hour * (HOURS * 1129 + 276),
        "records": each_hour * DAYS * HOURS,
    }


def check(told: dict[str, Any], each_hour: int) -> None:
    """Raises AssertionError where the import reckoned anything else."""
    found = {**told, **told["perDay"], "records": told["sources"][0]["records"]}
    wanted = expected(each_hour)
    assert {key: found[key] for key in wanted} == wanted, (found, wanted)


def imported(path: Path) -> tuple[dict[str, Any], float, float, float]:
    """What the command tells, its seconds on the clock and of a core, its peak memory in MiB; in its own process."""
    command = [sys.executable, "-m", "scripts.crossover", "usage", "import", str(path), "--today", TODAY, "--json"]
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen([*command, "--out", str(path.with_name("usage.yaml"))], stdout=said)
        _, status, used = os.wait4(process.pid, 0)
        took_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        said.seek(0)
        return json.load(said), took_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def hours() -> Iterator[tuple[int, int, datetime]]:
    """Day, hour and when it begins."""
    for number in range(DAYS * HOURS):
        yield *divmod(number, HOURS), FIRST + timedelta(hours=number)


def openai(each_hour: int) -> Iterator[str]:
    """One document of /v1/organization/usage/completions on one line, by hour, project, key, user and model."""
    yield '{"object": "page", "data": ['
    for day, hour, start in hours():
        begins = int(start.timestamp())
        yield ", " if day or hour else ""
        yield f'{{"object": "bucket", "start_time": {begins}, "end_time": {begins + 3600}, "results": ['
        for number in range(each_hour):
            yield (", " if number else "") + openai_result(day, hour, number)
        yield "]}"
    yield '], "has_more": false, "next_page": null}\n'


def openai_result(day: int = 0, hour: int = 0, number: int = 0) -> str:
    given, cached, output = tokens(day, hour)
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": given,
        "output_tokens": output,
        "num_model_requests": 5,
        "project_id": f"proj_{number % 97:024}",
        "user_id": f"user-{number:024}",
        "api_key_id": f"key_{number % 89:016}",
        "model": MODELS[number % len(MODELS)],
        "batch": False,
        "service_tier": None,
        "input_cached_tokens": cached,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
    }
    return json.dumps(result)


def litellm(each_hour: int) -> Iterator[str]:
    """LiteLLM_SpendLogs as CSV, a request a row."""
    yield "request_id,call_type,startTime,model,prompt_tokens,completion_tokens,metadata,messages\n"
    for day, hour, start in hours():
        for number in range(each_hour):
            yield litellm_row(day, hour, number, start)


def litellm_row(day: int = 0, hour: int = 0, number: int = 0, start: datetime = FIRST) -> str:
    given, cached, output = tokens(day, hour)
    at = start + timedelta(seconds=number % 3600)
    metadata = json.dumps({"additional_usage_values": {"cache_read_input_tokens": cached}})
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(
        (
            f"chatcmpl-{day:02}{hour:02}{number:012}",
            "acompletion",
            f"{at:%Y-%m-%d %H:%M:%S.000}",
            MODELS[number % len(MODELS)],
            given,
            output,
            metadata,
            TEXT,
        )
    )
    return row.getvalue()


EXPORTS: dict[str, tuple[Callable[[int], Iterator[str]], Callable[[], str]]] = {
    "OpenAI's usage, one document": (openai, openai_result),
    "`LiteLLM_SpendLogs` as CSV": (litellm, litellm_row),
}
"""What the row is called, how its export is written, and one record of it."""


if __name__ == "__main__":
    main()
