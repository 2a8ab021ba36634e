"""Every figure of the two sources, line by line, and the claim that answers for it, or why none does (seeds.toml)."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cost_guard.catalogue.claims.check import load_claims
from tests.support.scripts import CHECKOUT

FOLDER = Path(os.environ.get("CROSSOVER_SOURCES") or CHECKOUT.parent / "shared" / "sources")
FILES = {"NeuralRouting": "neuralrouting-break-even-2026.txt", "Wawandco": "wawandco-hidden-economics.txt"}
"""By the name that claims.toml has for a source."""
NUMBER = re.compile(
    r"\d+(?:[.,]\d+)*|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|half"
    r"|doubl\w+|twice|tripl\w+|zero|one-line|order of magnitude)\b",
    re.IGNORECASE,
)
"""What a reader takes for a number; "one", which is mostly a pronoun, is none."""

LIST: dict[str, list[dict[str, Any]]] = tomllib.loads((Path(__file__).parent / "seeds.toml").read_text("utf-8"))


def numbers(text: str) -> dict[int, set[str]]:
    """By line, from 1; a line without any is left out."""
    found = {line: set(NUMBER.findall(words)) for line, words in enumerate(text.splitlines(), 1)}
    return {line: said for line, said in found.items() if said}


def listed(source: str) -> dict[int, set[str]]:
    """The same, of seeds.toml."""
    found: dict[int, set[str]] = {}
    for entry in LIST[source]:
        found.setdefault(entry["line"], set()).update(entry["numbers"])
    return {line: said for line, said in found.items() if said}


def test_a_number_is_found_however_it_is_written() -> None:
    """Digits with their points and commas, and words."""
    text = "$1,234.5–6k at 3.3 70B,\n\nTwo of one halfway; an order of magnitude, double.\nnone"
    assert numbers(text) == {1: {"1,234.5", "6", "3.3", "70"}, 3: {"Two", "order of magnitude", "double"}}


@pytest.mark.parametrize("source", FILES)
def test_every_number_of_the_source_is_in_the_list(source: str) -> None:
    """And the list has none that the source has not."""
    file = FOLDER / FILES[source]
    if not file.exists():
        pytest.skip(f"{file.name} is missing: set CROSSOVER_SOURCES to the folder of the articles")
    assert listed(source) == numbers(file.read_text("utf-8"))


@pytest.mark.parametrize("source", FILES)
def test_each_entry_has_its_claims_or_says_why_there_are_none(source: str) -> None:
    """In the order of the lines; the claims exist and are of that source; what has neither numbers nor claims is
    nothing."""
    claims = {one.claim.id: one.claim for one in load_claims()}
    lines = [entry["line"] for entry in LIST[source]]
    assert lines == sorted(lines)
    for entry in LIST[source]:
        assert set(entry) - {"claims", "none"} == {"line", "numbers", "about"}, entry
        assert ("claims" in entry) != ("none" in entry), entry
        assert entry.get("claims") or (entry["none"].strip() and entry["numbers"]), entry
        for name in entry.get("claims", []):
            assert name in claims, entry


def test_every_claim_answers_for_a_line_of_each_of_its_sources() -> None:
    """claims.toml holds nothing that neither source says, and names those that say it."""
    named = {source: {name for entry in LIST[source] for name in entry.get("claims", [])} for source in FILES}
    said = {one.claim.id: [source for source in FILES if source in one.claim.source] for one in load_claims()}
    assert {name: [source for source in FILES if name in named[source]] for name in said} == said
