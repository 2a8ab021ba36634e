"""The four files of a review, one format a module."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.crossover.review import rules
from scripts.crossover.review.formats import comment, junit, report, sarif
from scripts.crossover.review.preview.scrub import Scrubber
from scripts.crossover.review.review import Review


def write(review: Review, folder: Path, strict: bool, clean: Scrubber) -> dict[str, str]:
    """Writes all files, whatever the outcome, and returns their texts by name. Raises OSError."""
    demands = rules.known()
    texts = {
        "comment.md": comment.render(review),
        "report.json": _json(report.document(review, strict)),
        "junit.xml": junit.render(review, demands),
        "sarif.json": _json(sarif.document(review, demands)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    cleaned = {name: clean(text) for name, text in texts.items()}
    for name, text in cleaned.items():
        (folder / name).write_text(text, encoding="utf-8")
    return cleaned


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
