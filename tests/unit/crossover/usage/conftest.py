"""The import of files that a test writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """imported({"a.json": text}, "--option"): exit code and what was said, on today's fixed day."""

    monkeypatch.chdir(tmp_path)

    def run(files: dict[str, str | bytes], *options: str) -> tuple[int, str]:
        for name, content in files.items():
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        done = CliRunner().invoke(app, ["usage", "import", *files, "--today", "2026-11-22", *options])
        assert (tmp_path / "usage.yaml").exists() == (done.exit_code == 0)
        return done.exit_code, done.output

    return run
