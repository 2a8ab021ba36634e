"""A file with both sides of a merge is told as that, whatever its format."""

from __future__ import annotations

from pathlib import Path

import pytest

from strict import yaml
from strict.conflict import conflict_line
from strict.toml import CatalogueError, Row, parse_rows

MERGE = "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n"
"""As git writes it."""


def test_yaml() -> None:
    with pytest.raises(yaml.DocumentError, match=r"^usage\.yaml:2: both sides of a merge stand here; keep one"):
        yaml.load("a: 1\n" + MERGE.format("b: 1", "b: 2"), "usage.yaml")


def test_toml() -> None:
    with pytest.raises(CatalogueError, match=r"^prices\.toml:3: both sides of a merge stand here; keep one"):
        parse_rows("[a]\n\n" + MERGE.format("b = 1", "b = 2"), "prices.toml", Row)


def test_a_text_that_shows_the_marks_is_no_merge(tmp_path: Path) -> None:
    """In a note, say: it is YAML, so nobody looks for them."""
    assert yaml.load(f"note: |\n  {MERGE.format('x', 'y')!r}\n", "f")[0]["note"].startswith("'<<<<<<< HEAD")
    assert conflict_line("a: <<<<<<< b\n>>>>>>> c\n") is None
    assert conflict_line("<<<<<<< b\nnot ended\n") is None
