"""`policies/install` says what stands in its way before it makes anything. What it makes is asked on the engine, in
tests/engine/test_pack.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.scripts import CHECKOUT


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The folder as `cp -r` brings it elsewhere, without what it does not read."""
    folder = tmp_path / "policies"
    folder.mkdir()
    shutil.copy2(CHECKOUT / "policies" / "install", folder)
    (folder / ".venv").symlink_to("../.venv")
    return folder


def install(folder: Path, python: Path | None = None) -> tuple[int, str]:
    """Its exit code and what it says."""
    variables = {**os.environ, **({} if python is None else {"PYTHON": str(python)})}
    done = subprocess.run([folder / "install"], env=variables, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def stub(folder: Path, script: str) -> Path:
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return python


def test_in_its_repository_it_leaves_the_projects_environment_alone() -> None:
    assert install(CHECKOUT / "policies") == (
        1,
        "policies/install: this is the repository itself: run scripts/bootstrap\n",
    )
    assert (CHECKOUT / "policies" / ".venv").is_symlink()


def test_an_older_python_is_refused_by_name(copied: Path, tmp_path: Path) -> None:
    python = stub(tmp_path, '[ "$1" != -c ]')
    code, said = install(copied, python)
    assert (code, said) == (1, f"policies/install: {python} is older than Python 3.11: set PYTHON\n")


def test_a_python_without_venv_says_what_to_install(copied: Path, tmp_path: Path) -> None:
    python = stub(tmp_path, '[ "$2" != venv ]')
    code, said = install(copied, python)
    assert code == 1
    assert said == f"policies/install: {python} cannot make a virtual environment: install its venv module\n"
    assert not (copied / ".venv").exists()
