"""A pull request of a checkout: `crossover preview` of what its working tree changes."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import Any

from tests.support.checkout import Checkout, ended

TODAY = date(2026, 4, 20)
"""Less than three months after the quoted prices, so that they say nothing."""


class PullRequest:
    """A checkout under git, whose `main` is what it was at first; the working tree is what is asked for."""

    def __init__(self, clone: Checkout) -> None:
        self.clone, self.out = clone, clone.folder / "out"
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "base")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=a. person", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=self.clone.folder, check=True, capture_output=True)

    def preview(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """The exit code, the document and the comment."""
        process = self.clone.start(
            ".venv/bin/python", "-m", "scripts.crossover", "preview", "--stack", "local", "--base", "HEAD",
            "--out", str(self.out), *arguments, CROSSOVER_TODAY=TODAY.isoformat(),
        )  # fmt: skip
        said = ended(process, timeout_s=240)
        assert (self.out / "report.json").exists(), said
        document = json.loads((self.out / "report.json").read_text())
        assert process.returncode == document["exitCode"], said
        return process.returncode, document, (self.out / "comment.md").read_text()

    def write(self, path: str, text: str) -> None:
        (self.clone.folder / path).write_text(text)
