"""`python -m tests.bench.paired REF`: commands and previews of this tree against those of a commit, in turn.
Prints the section "Against the commit before" of docs/performance.md. Needs what `make test` needs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.support.checkout import REPOSITORY, TODAY, Checkout

REPEATS = 12
Tree = TypeVar("Tree")
"""A folder, or a clone of one."""
COMMANDS = {
    "`crossover --help`": ("--help",),
    "`crossover plan --stack local --json`": ("plan", "--stack", "local", "--json"),
}
PREVIEWS: dict[str, tuple[str, ...]] = {
    "preview of 2 nodes": (),
    "preview of 2 nodes with the pack": ("--policy-pack", "policies"),
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
    """One row a command and a preview."""
    for what, arguments in COMMANDS.items():
        row(what, command(arguments), before, REPOSITORY)
    clones = [Checkout.make(root=tree) for tree in (before, REPOSITORY)]
    try:
        for clone in clones:
            clone.init()
        for what, arguments in PREVIEWS.items():
            row(what, preview(arguments), *clones)
    finally:
        for clone in clones:
            clone.discard()


def row(what: str, work: Callable[[Tree], object], before: Tree, now: Tree) -> None:
    """The medians of both, taken in turn after one run of each that is not counted."""
    times: list[tuple[float, float]] = []
    for _ in range(REPEATS + 1):
        times.append((seconds(lambda: work(before)), seconds(lambda: work(now))))
    old, new = (statistics.median(column) for column in zip(*times[1:], strict=True))
    print(f"| {what} | {old:.2f} s | {new:.2f} s | {new / old:.2f} |", flush=True)


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def command(arguments: Sequence[str]) -> Callable[[Path], object]:
    """Runs `crossover` of a tree, by this environment."""

    def run(tree: Path) -> object:
        environment = {**os.environ, "PYTHONPATH": f"{tree / 'policies'}:{tree}", "CROSSOVER_TODAY": TODAY}
        words = [sys.executable, "-m", "scripts.crossover", *arguments]
        return subprocess.run(words, cwd=tree, env=environment, check=True, capture_output=True)

    return run


def preview(arguments: Sequence[str]) -> Callable[[Checkout], object]:
    """Has the engine preview `local` in a clone."""
    return lambda clone: clone.pulumi("preview", "-s", "local", *arguments)


if __name__ == "__main__":
    main(sys.argv[1])
