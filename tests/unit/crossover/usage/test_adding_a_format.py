"""A format is its `Format`: all else follows from it, and a fault of its reader is one line."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta, tzinfo
from pathlib import Path

import pytest

from scripts.crossover.usage import readers
from scripts.crossover.usage.readers import FORMATS
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import Empty, Record, count, moment
from scripts.crossover.usage.stream import Export, elements
from scripts.crossover.usage.table import rows
from tests.unit.crossover.usage import traffic
from tests.unit.crossover.usage.test_formats import TOLD

Imported = Callable[..., tuple[int, str]]
Read = Callable[[Export, tzinfo], Iterator[Record | Empty]]
DOCUMENT = Path(__file__).parents[4] / "docs" / "reference" / "usage.md"
DAILY = traffic.daily(range(30, 0, -1), lambda back: (900, 300, 500))


def _read(export: Export, zone: tzinfo) -> Iterator[Record | Empty]:
    """A map a day, or a row: from, fresh_words and output_words, without a check of its own."""
    found = ((e.value, e.place) for e in elements(export, frozenset())) if export.start[0] in "[{" else rows(export)
    for row, place in found:
        start = moment(row["from"], place.at("from"), zone)
        fresh, output = count(row, "fresh_words", place), count(row, "output_words", place)
        yield Record(start, timedelta(days=1), None, fresh // int(row.get("per", 1)), 0, output, row["from"], place)


def _at_once(export: Export, zone: tzinfo) -> Iterator[Record | Empty]:
    """Fails when it is called, before an element is asked for."""
    raise LookupError(export.name)


def _behind(export: Export, zone: tzinfo) -> Iterator[Record | Empty]:
    """Fails when all is read."""
    yield from _read(export, zone)
    raise AssertionError


WORDS = Format(
    name="words",
    position=60,
    json=re.compile('"fresh_words"'),
    columns=(frozenset({"from", "fresh_words"}),),
    words=frozenset({"from", "fresh_words", "output_words"}),
    gateway=True,
    read=_read,
)
TAKEN = """
from dataclasses import replace

from scripts.crossover.usage.readers import daily_csv

FORMAT = replace(daily_csv.FORMAT, position=1)
"""
DAYS = [{"from": f"{b.start:%Y-%m-%dT00:00}", "fresh_words": b.fresh, "output_words": b.output} for b in DAILY]
LINES = "[\n" + ",\n".join(map(json.dumps, DAYS)) + "\n]"
TABLE = "\n".join(["from,fresh_words,output_words", *(",".join(map(str, day.values())) for day in DAYS)])


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Callable[[Format], None]:
    """added(WORDS): what a file in readers/ does, for the time of a test."""
    return lambda form: monkeypatch.setitem(FORMATS, form.name, form)


@pytest.mark.parametrize("text", [LINES, TABLE])
def test_a_format_that_is_found_is_read(imported: Imported, added: Callable[[Format], None], text: str) -> None:
    """It is told, read, taken by --format, and known as a gateway's; without its file it is not."""
    assert imported({"e.txt": text})[0] == 3
    added(WORDS)
    files = {"e.txt": text, "o.json": traffic.openai(DAILY)}
    code, output = imported(files, "--json")
    document = json.loads(output)
    assert (code, [source["format"] for source in document["sources"]]) == (0, ["words", "openai"])
    assert document["tokensPerMonth"] == round((1400 + 1700) * 730 / 24)
    assert any(note.startswith("openai, words were added up: ") for note in document["notes"])


def test_a_format_that_is_found_brings_its_words(imported: Imported, added: Callable[[Format], None]) -> None:
    """A slip names the new format, and so does the list of those that --format takes."""
    added(WORDS)
    for text in (LINES, TABLE):
        code, output = imported({"e.txt": text.replace("fresh_words", "freshwords")})
        assert (code, output.endswith("did you mean fresh_words, as in words?\n")) == (3, True)
    assert imported({"e.txt": "hello\n"})[1].endswith(f": {', '.join(FORMATS)}\n")


@pytest.mark.parametrize(
    ("read", "old", "new", "where", "error"),
    [
        (_read, '"from": "2026-10-25T', '"form": "2026-10-25T', "4: [2]", "KeyError"),
        (_read, '-25T00:00", ', '-25T00:00", "per": null, ', "4: [2]", "TypeError"),
        (_read, '-25T00:00", ', '-25T00:00", "per": "two", ', "4: [2]", "ValueError"),
        (_read, '-25T00:00", ', '-25T00:00", "per": 0, ', "4: [2]", "ZeroDivisionError"),
        (_at_once, "", "", "1", "LookupError"),
        (_behind, "", "", "31: [29]", "AssertionError"),
    ],
)
def test_a_readers_own_fault_is_one_line_that_names_the_element(
    imported: Imported, added: Callable[[Format], None], read: Read, old: str, new: str, where: str, error: str
) -> None:
    added(replace(WORDS, read=read))
    code, output = imported({"e.json": LINES.replace(old, new)}, "--format", "words")
    said = f"cannot evaluate: e.json:{where}: cannot be read as words: internal error, {error}: report it\n"
    assert (code, output) == (3, said)


def test_a_readers_own_fault_in_a_table_names_the_row(imported: Imported, added: Callable[[Format], None]) -> None:
    """A column that is not there: the first row misses it, in line 2."""
    added(WORDS)
    code, output = imported({"e.csv": TABLE.replace("from", "since", 1)}, "--format", "words")
    said = "cannot evaluate: e.csv:2: cannot be read as words: internal error, KeyError: report it\n"
    assert (code, output) == (3, said)


@pytest.mark.parametrize("text", ["", "FORMAT = 'csv'\n", TAKEN], ids=["none", "no format", "a name that is taken"])
def test_a_reader_that_brings_no_format_of_its_own_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither replaces another in silence nor is passed over: the error names its file."""
    (tmp_path / "a_toy.py").write_text(text)
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    try:
        with pytest.raises(TypeError, match=r"readers\.a_toy holds no FORMAT = Format\(…\) with a name of its own"):
            readers.discovered()
    finally:
        sys.modules.pop(f"{readers.__name__}.a_toy", None)
        vars(readers).pop("a_toy", None)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_every_format_can_be_told_and_is_tested_and_documented(form: Format) -> None:
    """None is left to --format alone; its signs are among the words that slips are compared with."""
    assert form.json or form.columns
    assert form.name in {name for name, _, _ in TOLD}
    assert f"\n| `{form.name}` | " in DOCUMENT.read_text("utf-8")
    assert all(columns <= form.words for columns in form.columns)
