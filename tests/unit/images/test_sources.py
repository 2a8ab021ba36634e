"""Files of the repository by reference: their hash is of their bytes, and nothing is found silently."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from images.bundle import Bundle, PythonEnvironment, Source
from images.sources import located, repository_source, repository_sources


def test_a_source_has_the_hash_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x00\xff")
    source = repository_source("lib/a.txt", "a.txt", root=tmp_path)
    assert (source.path, source.source) == ("lib/a.txt", "a.txt")
    assert source.sha256 == hashlib.sha256(b"\x00\xff").hexdigest()


def test_a_folder_is_taken_whole_in_a_stable_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("p/b.py", "p/a.py", "p/deep/c.py", "p/a.pyc", "other.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = repository_sources("lib/p", "p", root=tmp_path)
    assert [(s.path, s.source) for s in found] == [
        ("lib/p/a.py", "p/a.py"),
        ("lib/p/b.py", "p/b.py"),
        ("lib/p/deep/c.py", "p/deep/c.py"),
    ]


def test_a_file_or_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        repository_source("a", "missing", root=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nothing matches missing/\*\*/\*\.py"):
        repository_sources("a", "missing", root=tmp_path)


def test_a_source_that_moved_is_found_by_its_bytes_and_one_that_changed_stays_what_it_was(tmp_path: Path) -> None:
    """As a state names files where they lay when it was written."""
    for name in ("images/new/a.py", "images/b.py", "requirements/new.txt", "elsewhere/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    def source(path: str, content: str) -> Source:
        return Source(path, path, hashlib.sha256(content.encode()).hexdigest())

    moved, still, changed = (
        source("images/a.py", "images/new/a.py"),
        source("images/b.py", "images/b.py"),
        "images/z.py",
    )
    bundle = Bundle(
        role="r",
        sources=(moved, still, source(changed, "gone"), source("c.py", "elsewhere/c.py")),
        environments=(PythonEnvironment("e", source("requirements/old.txt", "requirements/new.txt")),),
    )
    found = located(bundle, tmp_path)
    assert {s.path: s.source for s in found.sources} == {
        "images/a.py": "images/new/a.py", "images/b.py": "images/b.py", changed: changed, "c.py": "c.py"
    }  # fmt: skip
    assert found.environments[0].requirements.source == "requirements/new.txt"
    assert [s.sha256 for s in found.sources] == [s.sha256 for s in bundle.sources]
