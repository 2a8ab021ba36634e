"""`python -m tests.bench.paired REF`: commands, previews and `up` of this tree against those of a commit, in turn.
Prints the section "Against the commit before" of docs/performance.md. Needs what `make test` needs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.spine import seconds
from tests.support.checkout import REPOSITORY, Checkout

REPEATS = 12
CROSSOVER = (".venv/bin/python", "-m", "scripts.crossover")
Step = Callable[[Checkout], object]


def nothing(clone: Checkout) -> None:
    """No step."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured; what comes before, once, and after each time, without being measured."""

    what: str
    work: Step
    ready: Step = nothing
    undo: Step = nothing
    repeats: int = REPEATS


ROWS = (
    Row("`crossover --help`", lambda clone: clone.run(*CROSSOVER, "--help")),
    Row(
        "`crossover plan --stack local --json`",
        lambda clone: clone.run(*CROSSOVER, "plan", "--stack", "local", "--json"),
    ),
    Row("preview of 2 nodes", lambda clone: clone.pulumi("preview", "-s", "local")),
    Row(
        "preview of 2 nodes with the pack",
        lambda clone: clone.pulumi("preview", "-s", "local", "--policy-pack", "policies"),
    ),
    Row("first `up`", Checkout.up, undo=lambda clone: clone.run("scripts/down", "local"), repeats=5),
    Row("`up --refresh`, nothing changed", lambda clone: clone.up("--refresh"), ready=Checkout.up, repeats=5),
)


def main(ref: str) -> None:
    """Measures and prints."""
    print(f"\n| What | At {ref} | Now | Ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="xo-") as name:
        before = Path(name) / "before"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", before, ref], cwd=REPOSITORY, check=True)
        try:
            compare(before)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", before], cwd=REPOSITORY, check=True)


def compare(before: Path) -> None:
    """One row for each of ROWS: the medians of both, taken in turn after one run of each that is not counted."""
    clones = [Checkout.make(root=tree) for tree in (before, REPOSITORY)]
    try:
        for clone in clones:
            clone.init()
        for row in ROWS:
            for clone in clones:
                row.ready(clone)
            times = [[took_s(row, clone) for clone in clones] for _ in range(row.repeats + 1)]
            old, new = (statistics.median(column) for column in zip(*times[1:], strict=True))
            print(f"| {row.what} | {old:.2f} s | {new:.2f} s | {new / old:.2f} |", flush=True)
    finally:
        for clone in clones:
            clone.discard()


def took_s(row: Row, clone: Checkout) -> float:
    """Once."""
    took = seconds(lambda: row.work(clone))
    row.undo(clone)
    return took


if __name__ == "__main__":
    main(sys.argv[1])
