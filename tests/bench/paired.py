"""`python -m tests.bench.paired REF`: commands and previews of this tree against those of a commit, in turn.
Prints the section "Against the commit before" of docs/performance.md. Needs what `make test` needs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.spine import seconds
from tests.support.checkout import REPOSITORY, Checkout

REPEATS = 12
CROSSOVER = (".venv/bin/python", "-m", "scripts.crossover")
ROWS: dict[str, Callable[[Checkout], object]] = {
    "`crossover --help`": lambda clone: clone.run(*CROSSOVER, "--help"),
    "`crossover plan --stack local --json`": lambda clone: clone.run(*CROSSOVER, "plan", "--stack", "local", "--json"),
    "preview of 2 nodes": lambda clone: clone.pulumi("preview", "-s", "local"),
    "preview of 2 nodes with the pack": lambda clone: clone.pulumi(
        "preview", "-s", "local", "--policy-pack", "policies"
    ),
}


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
        for what, work in ROWS.items():
            times = [[seconds(partial(work, clone)) for clone in clones] for _ in range(REPEATS + 1)]
            old, new = (statistics.median(column) for column in zip(*times[1:], strict=True))
            print(f"| {what} | {old:.2f} s | {new:.2f} s | {new / old:.2f} |", flush=True)
    finally:
        for clone in clones:
            clone.discard()


if __name__ == "__main__":
    main(sys.argv[1])
